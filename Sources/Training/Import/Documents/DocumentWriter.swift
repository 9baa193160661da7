import RecommendationCore

/// Writes documents as lines of JSON in their one canonical form: all fields in order, no spaces, only what must be escaped is.
struct DocumentWriter {
    private(set) var bytes: [UInt8] = []
    private var isFirst = true

    /// Takes what was written.
    mutating func removeAll() { self.bytes.removeAll(keepingCapacity: true) }

    /// A line of columns with tabs between them; none holds a control character.
    mutating func columns(_ columns: [String]) {
        for (index, column) in columns.enumerated() {
            if index > 0 { self.raw("\t") }
            self.bytes.append(contentsOf: column.utf8)
        }
        self.raw("\n")
    }

    mutating func begin() {
        self.bytes.append(UInt8(ascii: "{"))
        self.isFirst = true
    }

    mutating func end() { self.raw("}\n") }

    mutating func string(_ value: String?, _ name: StaticString) {
        self.name(name)
        if let value { self.quoted(value) } else { self.raw("null") }
    }

    mutating func strings(_ values: [String], _ name: StaticString) {
        self.name(name)
        self.list(values) { writer, value in writer.quoted(value) }
    }

    /// In the order of the names' bytes.
    mutating func labels(_ labels: [String: String], _ name: StaticString) {
        self.name(name)
        self.raw("{")
        var isFirst = true
        for (label, value) in labels.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            if !isFirst { self.raw(",") }
            isFirst = false
            self.quoted(label)
            self.raw(":")
            self.quoted(value)
        }
        self.raw("}")
    }

    /// In the order of kinds and keys.
    mutating func suppressions(_ suppressions: [Suppression], _ name: StaticString) {
        self.name(name)
        let sorted = suppressions.sorted { left, right in
            left.kind == right.kind ? left.key < right.key : left.kind.rawValue < right.kind.rawValue
        }
        self.list(sorted) { writer, suppression in
            writer.begin()
            writer.string(suppression.kind.rawValue, "kind")
            writer.string(suppression.key.string, "key")
            writer.raw("}")
        }
    }

    /// The fewest digits that read back as the same number; null for what is none.
    mutating func number<Number: BinaryFloatingPoint & CustomStringConvertible>(_ value: Number?, _ name: StaticString)
    {
        self.name(name)
        if let value, value.isFinite { self.bytes.append(contentsOf: value.description.utf8) } else { self.raw("null") }
    }

    mutating func integer(_ value: Int?, _ name: StaticString) {
        self.name(name)
        if let value { self.bytes.append(contentsOf: String(value).utf8) } else { self.raw("null") }
    }

    mutating func flag(_ value: Bool?, _ name: StaticString) {
        self.name(name)
        self.raw(value.map { $0 ? "true" : "false" } ?? "null")
    }

    mutating func timestamp(_ value: Timestamp?, _ name: StaticString) {
        self.string(value.map(TimestampText.text(of:)), name)
    }

    private mutating func name(_ name: StaticString) {
        self.raw(self.isFirst ? "\"" : ",\"")
        self.isFirst = false
        self.raw(name)
        self.raw("\":")
    }

    private mutating func list<Element>(_ elements: [Element], _ write: (inout DocumentWriter, Element) -> Void) {
        self.raw("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { self.raw(",") }
            write(&self, element)
        }
        self.raw("]")
        self.isFirst = false
    }

    private mutating func raw(_ text: StaticString) {
        self.bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func quoted(_ text: String) {
        self.raw("\"")
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            for index in bytes.indices {
                let byte = bytes[index]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
                self.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<index]))
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
            self.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...]))
        }
        self.raw("\"")
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}
