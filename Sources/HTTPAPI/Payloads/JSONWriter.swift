import NIOCore

/// Writes JSON bytes one after the other: its caller knows the document's shape, so that nothing is built to be encoded.
///
/// They are gathered in an array and copied once: each of the hundreds of small writes of a list would cost several times as
/// much in a `ByteBuffer`.
struct JSONWriter {
    private var bytes: [UInt8] = []

    init(capacity: Int) {
        self.bytes.reserveCapacity(capacity)
    }

    /// What was written.
    var buffer: ByteBuffer { ByteBuffer(bytes: self.bytes) }

    /// Punctuation and names, as they are.
    mutating func raw(_ text: StaticString) {
        self.bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func null() {
        self.raw("null")
    }

    mutating func bool(_ value: Bool) {
        self.raw(value ? "true" : "false")
    }

    mutating func integer(_ value: some FixedWidthInteger) {
        self.bytes.append(contentsOf: String(value).utf8)
    }

    /// A number to four decimals at most, without an exponent; what is not a number is 0.
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
            self.bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / unit))
            rest %= unit
            unit /= 10
        }
    }

    /// A number to its last digit; what is not a number is null.
    mutating func double(_ value: Double) {
        guard value.isFinite else { return self.null() }
        self.bytes.append(contentsOf: value.description.utf8)
    }

    /// A number to its last digit, an integer without a point; what is not a number is null.
    mutating func number(_ value: Double) {
        if value == value.rounded(), value.magnitude < 1e15 { self.integer(Int64(value)) } else { self.double(value) }
    }

    /// As a `Double`, to the digits that a `Float` holds.
    mutating func number(_ value: Float) {
        self.number(Double(value.description) ?? Double(value))
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
    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for index in text.indices {
            let byte = text[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            self.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<index]))
            start = index + 1
            switch byte {
            case UInt8(ascii: "\""): self.raw("\\\"")
            case UInt8(ascii: "\\"): self.raw("\\\\")
            case UInt8(ascii: "\n"): self.raw("\\n")
            case UInt8(ascii: "\r"): self.raw("\\r")
            case UInt8(ascii: "\t"): self.raw("\\t")
            default:
                self.raw(byte < 0x10 ? "\\u000" : "\\u001")
                self.bytes.append(Self.hexadecimal[Int(byte & 15)])
            }
        }
        self.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start...]))
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}
