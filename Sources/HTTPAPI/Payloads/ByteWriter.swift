import NIOCore

/// Memory that text is written to, one piece after the other; kept and used again where many answers are written.
///
/// Each of the hundreds of small writes of a list would cost several times as much in an array or a `ByteBuffer`, which
/// check at each who else holds them.
struct ByteWriter: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 16)
        self.base = .allocate(capacity: self.capacity)
    }

    deinit { self.base.deallocate() }

    /// What was written; valid until the next write.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: self.base, count: self.count) }

    /// Begins again.
    mutating func removeAll() { self.count = 0 }

    /// Takes `length` bytes that `write` fills.
    @inline(__always)
    mutating func append(_ length: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) {
        if self.capacity - self.count < length { self.grow(by: length) }
        write(self.base + self.count)
        self.count += length
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        self.append(1) { $0.pointee = byte }
    }

    /// Punctuation and names, as they are.
    @inline(__always)
    mutating func append(_ text: StaticString) {
        self.append(text.utf8CodeUnitCount) { $0.update(from: text.utf8Start, count: text.utf8CodeUnitCount) }
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        self.append(bytes.count) { $0.update(from: start, count: bytes.count) }
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { self.append($0) }
    }

    mutating func integer(_ value: some FixedWidthInteger) {
        if value < 0 { self.append(UInt8(ascii: "-")) }
        self.digits(UInt64(value.magnitude))
    }

    /// A number to four decimals at most, without an exponent; what is not a number is 0.
    mutating func fixed(_ value: Float) {
        guard value.isFinite else { return self.append(UInt8(ascii: "0")) }
        let scaled = UInt64(min(Double(value).magnitude * 10_000 + 0.5, 9e15))
        if value < 0, scaled > 0 { self.append(UInt8(ascii: "-")) }
        self.digits(scaled / 10_000)
        var fraction = Int(scaled % 10_000)
        guard fraction > 0 else { return }
        var places = 4
        while fraction % 10 == 0 {
            fraction /= 10
            places -= 1
        }
        self.append(places + 1) { target in
            target[0] = UInt8(ascii: ".")
            for place in stride(from: places, to: 0, by: -1) {
                target[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: fraction % 10)
                fraction /= 10
            }
        }
    }

    private mutating func digits(_ value: UInt64) {
        if value < 10 { return self.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value)) }
        var length = 0
        var rest = value
        while rest > 0 {
            rest /= 10
            length += 1
        }
        self.append(length) { target in
            var rest = value
            for place in stride(from: length - 1, through: 0, by: -1) {
                target[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
        }
    }

    private mutating func grow(by length: Int) {
        let capacity = max(2 * self.capacity, self.count + length)
        let base = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        base.update(from: self.base, count: self.count)
        self.base.deallocate()
        self.base = base
        self.capacity = capacity
    }
}
