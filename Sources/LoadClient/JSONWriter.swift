/// A report as JSON, member by member.
package struct JSONWriter {
    package private(set) var text = ""
    private var needsComma = false

    package init() {}

    package mutating func open(_ name: String? = nil) {
        self.name(name)
        self.text += "{"
        self.needsComma = false
    }

    package mutating func openList(_ name: String) {
        self.name(name)
        self.text += "["
        self.needsComma = false
    }

    package mutating func closeList() {
        self.text += "]"
        self.needsComma = true
    }

    package mutating func close() {
        self.text += "}"
        self.needsComma = true
    }

    package mutating func member(_ name: String, _ value: String) { self.raw(name, Self.quoted(value)) }
    package mutating func member(_ name: String, _ value: Int) { self.raw(name, String(value)) }
    package mutating func member(_ name: String, _ value: Bool) { self.raw(name, value ? "true" : "false") }

    /// To three decimals; null where it is not a number.
    package mutating func member(_ name: String, _ value: Double) {
        self.raw(name, value.isFinite ? ((value * 1_000).rounded() / 1_000).description : "null")
    }

    package mutating func member(_ name: String, _ values: [String]) {
        self.raw(name, "[" + values.map(Self.quoted).joined(separator: ",") + "]")
    }

    private mutating func raw(_ name: String, _ value: String) {
        self.name(name)
        self.text += value
        self.needsComma = true
    }

    private mutating func name(_ name: String?) {
        if self.needsComma { self.text += "," }
        if let name { self.text += Self.quoted(name) + ":" }
    }

    package static func quoted(_ string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16, uppercase: true)
                text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
