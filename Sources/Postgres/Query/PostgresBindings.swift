/// The parameters of a statement, encoded in binary with their types.
///
/// Written as an array literal: `[userID, limit, names]`.
public struct PostgresBindings: Sendable, ExpressibleByArrayLiteral {
    // The first byte is there only so that the buffer always has an address: libpq takes a null pointer for NULL.
    private(set) var bytes: [UInt8] = [0]
    private(set) var types: [UInt32] = []
    private(set) var ranges: [Range<Int>?] = []

    /// Starts without parameters.
    public init() {}

    /// Takes the parameters `$1`, `$2` and so on, in order.
    public init(arrayLiteral elements: any PostgresEncodable...) {
        bytes.reserveCapacity(1 + 16 * elements.count)
        types.reserveCapacity(elements.count)
        ranges.reserveCapacity(elements.count)
        for element in elements { append(element) }
    }

    /// Adds the next parameter.
    public mutating func append<Value: PostgresEncodable>(_ value: Value) {
        let start = bytes.count
        let hasValue = value.encode(into: &bytes)
        types.append(Value.postgresType.rawValue)
        ranges.append(hasValue ? start..<bytes.count : nil)
    }

    /// Calls `body` with the arrays that libpq takes; they are valid during the call only.
    func withParameters<Result>(
        _ body: (
            _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<CInt>?,
            _ formats: UnsafePointer<CInt>?
        ) -> Result
    ) -> Result {
        let count = ranges.count
        guard count > 0 else { return body(nil, nil, nil) }
        return unsafe bytes.withUnsafeBytes { buffer in
            unsafe withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { values in
                unsafe withUnsafeTemporaryAllocation(of: CInt.self, capacity: count * 2) { numbers in
                    for (index, range) in ranges.enumerated() {
                        let value = unsafe range.map { range in
                            unsafe buffer.baseAddress!.advanced(by: range.lowerBound)
                                .assumingMemoryBound(to: CChar.self)
                        }
                        unsafe values.initializeElement(at: index, to: value)
                        unsafe numbers.initializeElement(at: index, to: CInt(clamping: range?.count ?? 0))
                        unsafe numbers.initializeElement(at: count + index, to: 1)
                    }
                    let lengths = numbers.baseAddress!
                    return unsafe body(values.baseAddress, lengths, lengths + count)
                }
            }
        }
    }
}
