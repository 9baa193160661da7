import NIOCore
import Serving

/// Writes JSON bytes one after the other: its caller knows the document's shape, so that nothing is built to be encoded.
struct JSONWriter: ~Copyable {
    private var out: ByteWriter
    /// Of the items of the document that is written: valid as long as what they were looked up in.
    var texts: [ItemTexts.Text?] = []

    init(capacity: Int) {
        self.out = ByteWriter(capacity: capacity)
    }

    /// Bytes written so far.
    var count: Int { self.out.bytes.count }

    /// A copy of what was written.
    var buffer: ByteBuffer { ByteBuffer(bytes: self.out.bytes) }

    /// What was written; valid until the next write.
    var bytes: UnsafeRawBufferPointer { self.out.bytes }

    /// Begins again, in the same memory.
    mutating func removeAll() { self.out.removeAll() }

    /// Punctuation and names, as they are.
    @inline(__always)
    mutating func raw(_ text: StaticString) {
        self.out.append(text)
    }

    /// Takes `length` bytes that `write` fills as they shall stand.
    @inline(__always)
    mutating func raw(_ length: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) {
        self.out.append(length, write)
    }

    /// Contents of a string that are escaped already.
    @inline(__always)
    mutating func raw(_ escaped: UnsafeBufferPointer<UInt8>) {
        self.out.append(escaped)
    }

    mutating func null() {
        self.raw("null")
    }

    mutating func bool(_ value: Bool) {
        if value { self.raw("true") } else { self.raw("false") }
    }

    mutating func integer(_ value: some FixedWidthInteger) {
        self.out.integer(value)
    }

    /// A number to four decimals at most, without an exponent; what is not a number is 0.
    mutating func fixed(_ value: Float) {
        self.out.fixed(value)
    }

    /// A number to its last digit; what is not a number is null.
    mutating func double(_ value: Double) {
        guard value.isFinite else { return self.null() }
        self.out.append(value.description)
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
        self.contents(text)
        self.raw("\"")
    }

    mutating func string(_ text: String?) {
        if let text { self.string(text) } else { self.null() }
    }

    /// What stands between the quotes of a string.
    mutating func contents(_ text: String) {
        var text = text
        text.withUTF8 { text in self.raw(JSONText.length(text)) { JSONText.write(text, to: $0) } }
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
}
