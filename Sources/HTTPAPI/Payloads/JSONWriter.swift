import NIOCore

/// Writes JSON bytes one after the other: its caller knows the document's shape, so that nothing is built to be encoded.
struct JSONWriter {
    private(set) var buffer: ByteBuffer

    init(capacity: Int) {
        self.buffer = ByteBufferAllocator().buffer(capacity: capacity)
    }

    /// Punctuation and names, as they are.
    mutating func raw(_ text: StaticString) {
        self.buffer.writeStaticString(text)
    }

    mutating func null() {
        self.raw("null")
    }

    mutating func bool(_ value: Bool) {
        self.raw(value ? "true" : "false")
    }

    mutating func integer(_ value: some FixedWidthInteger) {
        self.buffer.writeString(String(value))
    }

    /// A number to four decimals at most, without an exponent. What is not a number is 0.
    mutating func fixed(_ value: Float) {
        guard value.isFinite else { return self.raw("0") }
        let scaled = Int64(min((Double(value).magnitude * 10_000).rounded(), 9e15))
        if value < 0, scaled > 0 { self.raw("-") }
        let (whole, fraction) = scaled.quotientAndRemainder(dividingBy: 10_000)
        self.integer(whole)
        guard fraction > 0 else { return }
        self.raw(".")
        var rest = fraction
        var unit: Int64 = 1_000
        while rest > 0 {
            self.buffer.writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / unit))
            rest %= unit
            unit /= 10
        }
    }

    /// A number to its last digit; what is not a number is null.
    mutating func double(_ value: Double) {
        guard value.isFinite else { return self.null() }
        self.buffer.writeString(value.description)
    }

    mutating func string(_ text: String) {
        self.raw("\"")
        let wasContiguous: Void? = text.utf8.withContiguousStorageIfAvailable { self.escape($0) }
        if wasContiguous == nil { Array(text.utf8).withUnsafeBufferPointer { self.escape($0) } }
        self.raw("\"")
    }

    mutating func string(_ text: String?) {
        if let text { self.string(text) } else { self.null() }
    }

    mutating func list<Element>(
        _ elements: some Sequence<Element>,
        _ write: (inout JSONWriter, Element) -> Void
    ) {
        self.raw("[")
        var isFirst = true
        for element in elements {
            if !isFirst { self.raw(",") }
            isFirst = false
            write(&self, element)
        }
        self.raw("]")
    }

    /// Writes runs of what may stand as it is in one piece.
    private mutating func escape(_ bytes: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for index in bytes.indices {
            let byte = bytes[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            self.buffer.writeBytes(UnsafeBufferPointer(rebasing: bytes[start..<index]))
            start = index + 1
            switch byte {
            case UInt8(ascii: "\""): self.raw("\\\"")
            case UInt8(ascii: "\\"): self.raw("\\\\")
            case UInt8(ascii: "\n"): self.raw("\\n")
            case UInt8(ascii: "\r"): self.raw("\\r")
            case UInt8(ascii: "\t"): self.raw("\\t")
            default:
                self.raw(byte < 0x10 ? "\\u000" : "\\u001")
                self.buffer.writeInteger(Self.hexadecimal[Int(byte & 15)])
            }
        }
        self.buffer.writeBytes(UnsafeBufferPointer(rebasing: bytes[start...]))
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}
