/// A strict reader of one JSON value, RFC 8259, out of a slice of a file's buffer.
///
/// Names that come twice, compared by bytes, are refused; depth and so the stack are bounded.
struct JSONLine {
    private static let maximumDepth = 8
    /// No number of more digits means anything else.
    private static let maximumNumberLength = 64

    private let bytes: ArraySlice<UInt8>
    private var at: Int

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.at = bytes.startIndex
    }

    /// A whole value, with nothing after it.
    static func value(_ bytes: ArraySlice<UInt8>) throws(Rejection) -> DocumentValue? {
        var line = JSONLine(bytes)
        line.skipSpace()
        let value = try line.value(depth: 0)
        try line.end()
        return value
    }

    /// Reads the members of an object into a document that knows their names.
    static func read(_ bytes: ArraySlice<UInt8>, into document: inout Document) throws(Rejection) {
        var line = JSONLine(bytes)
        line.skipSpace()
        guard line.skip(UInt8(ascii: "{")) else { throw line.at < bytes.endIndex ? .notAnObject : line.unexpectedEnd }
        line.skipSpace()
        var seen: UInt64 = 0
        if !line.skip(UInt8(ascii: "}")) {
            while true {
                let field = try line.field(among: document.names)
                guard seen & 1 << field == 0 else { throw .repeatedField(document.names[field]) }
                seen |= 1 << field
                document.set(field, to: try line.value(depth: 1))
                line.skipSpace()
                if line.skip(UInt8(ascii: "}")) { break }
                try line.expect(UInt8(ascii: ","))
                line.skipSpace()
            }
        }
        try line.end()
    }

    /// The place of the next member's name; moves to its value.
    private mutating func field(among names: [String]) throws(Rejection) -> Int {
        let start = self.at
        let name = try self.string()
        guard let field = names.firstIndex(where: { $0.utf8.elementsEqual(name.utf8) }) else {
            throw .unknownField(
                String(decoding: self.bytes[start..<self.at].dropFirst().dropLast().prefix(80), as: UTF8.self)
            )
        }
        self.skipSpace()
        try self.expect(UInt8(ascii: ":"))
        self.skipSpace()
        return field
    }

    // MARK: Values

    /// Nil for null.
    private mutating func value(depth: Int) throws(Rejection) -> DocumentValue? {
        guard self.at < self.bytes.endIndex else { throw self.unexpectedEnd }
        switch self.bytes[self.at] {
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try self.number())
        case UInt8(ascii: "["): return .array(try self.array(depth: depth))
        case UInt8(ascii: "{"): return .object(try self.object(depth: depth))
        case UInt8(ascii: "t"): try self.word("true"); return .bool(true)
        case UInt8(ascii: "f"): try self.word("false"); return .bool(false)
        case UInt8(ascii: "n"): try self.word("null"); return nil
        default: throw self.unexpectedByte
        }
    }

    private mutating func array(depth: Int) throws(Rejection) -> [DocumentValue] {
        guard depth < Self.maximumDepth else { throw self.error("nested too deeply") }
        self.at += 1
        self.skipSpace()
        var elements: [DocumentValue] = []
        if self.skip(UInt8(ascii: "]")) { return elements }
        while true {
            guard let element = try self.value(depth: depth + 1) else { throw self.error("null in a list") }
            elements.append(element)
            self.skipSpace()
            if self.skip(UInt8(ascii: "]")) { return elements }
            try self.expect(UInt8(ascii: ","))
            self.skipSpace()
        }
    }

    private mutating func object(depth: Int) throws(Rejection) -> [DocumentValue.Member] {
        guard depth < Self.maximumDepth else { throw self.error("nested too deeply") }
        self.at += 1
        self.skipSpace()
        var members: [DocumentValue.Member] = []
        var names: Set<[UInt8]> = []
        if self.skip(UInt8(ascii: "}")) { return members }
        while true {
            let name = try self.string()
            guard names.insert(Array(name.utf8)).inserted else { throw self.error("a name comes twice") }
            self.skipSpace()
            try self.expect(UInt8(ascii: ":"))
            self.skipSpace()
            guard let value = try self.value(depth: depth + 1) else { throw self.error("null in an object") }
            members.append(DocumentValue.Member(name: name, value: value))
            self.skipSpace()
            if self.skip(UInt8(ascii: "}")) { return members }
            try self.expect(UInt8(ascii: ","))
            self.skipSpace()
        }
    }

    private mutating func string() throws(Rejection) -> String {
        try self.expect(UInt8(ascii: "\""))
        let start = self.at
        while self.at < self.bytes.endIndex {
            switch self.bytes[self.at] {
            case UInt8(ascii: "\""):
                // Most strings are as they stand.
                guard let text = String(validating: self.bytes[start..<self.at], as: UTF8.self) else {
                    throw self.error("a string is not UTF-8")
                }
                self.at += 1
                return text
            case UInt8(ascii: "\\"): return try self.escapedString(from: start)
            case ..<0x20: throw self.error("a control character in a string must be escaped")
            default: self.at += 1
            }
        }
        throw self.unexpectedEnd
    }

    /// The string that began at `start`, from its first escape on.
    private mutating func escapedString(from start: Int) throws(Rejection) -> String {
        var text = Array(self.bytes[start..<self.at])
        while self.at < self.bytes.endIndex {
            let byte = self.bytes[self.at]
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw self.error("a string is not UTF-8")
                }
                self.at += 1
                return string
            case UInt8(ascii: "\\"): text.append(contentsOf: UTF8.encode(try self.escape())!)
            case ..<0x20: throw self.error("a control character in a string must be escaped")
            default:
                text.append(byte)
                self.at += 1
            }
        }
        throw self.unexpectedEnd
    }

    private mutating func escape() throws(Rejection) -> Unicode.Scalar {
        self.at += 1
        guard self.at < self.bytes.endIndex else { throw self.unexpectedEnd }
        let kind = self.bytes[self.at]
        self.at += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try self.hexadecimal4()
            if let scalar = Unicode.Scalar(unit) { return scalar }
            // The high half of a pair; only with its low half is it a character.
            if (0xD800...0xDBFF).contains(unit), self.skip(UInt8(ascii: "\\")), self.skip(UInt8(ascii: "u")) {
                let low = try self.hexadecimal4()
                if (0xDC00...0xDFFF).contains(low),
                    let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + UInt32(low) - 0xDC00)
                {
                    return scalar
                }
            }
        default: break
        }
        throw self.error("not a JSON escape")
    }

    private mutating func hexadecimal4() throws(Rejection) -> UInt16 {
        guard self.at + 4 <= self.bytes.endIndex else { throw self.unexpectedEnd }
        var value: UInt16 = 0
        for _ in 0..<4 {
            let byte = self.bytes[self.at]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw self.error("not a JSON escape")
            }
            value = value << 4 | UInt16(digit)
            self.at += 1
        }
        return value
    }

    private mutating func number() throws(Rejection) -> String {
        let start = self.at
        _ = self.skip(UInt8(ascii: "-"))
        var isWhole = self.skip(UInt8(ascii: "0")) || self.skipDigits()
        if isWhole, self.skip(UInt8(ascii: ".")) { isWhole = self.skipDigits() }
        if isWhole, self.skip(UInt8(ascii: "e")) || self.skip(UInt8(ascii: "E")) {
            if !self.skip(UInt8(ascii: "+")) { _ = self.skip(UInt8(ascii: "-")) }
            isWhole = self.skipDigits()
        }
        guard isWhole else {
            throw self.at == self.bytes.endIndex ? self.unexpectedEnd : self.error("not a JSON number")
        }
        guard self.at - start <= Self.maximumNumberLength else { throw self.error("a number of too many digits") }
        return String(decoding: self.bytes[start..<self.at], as: UTF8.self)
    }

    // MARK: Bytes

    private mutating func word(_ word: StaticString) throws(Rejection) {
        for place in 0..<word.utf8CodeUnitCount { try self.expect(word.utf8Start[place]) }
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard self.at < self.bytes.endIndex, self.bytes[self.at] == byte else { return false }
        self.at += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Rejection) {
        guard self.at < self.bytes.endIndex else { throw self.unexpectedEnd }
        guard self.bytes[self.at] == byte else { throw self.unexpectedByte }
        self.at += 1
    }

    private mutating func skipDigits() -> Bool {
        let start = self.at
        while self.at < self.bytes.endIndex, (0x30...0x39).contains(self.bytes[self.at]) { self.at += 1 }
        return self.at > start
    }

    private mutating func skipSpace() {
        while self.at < self.bytes.endIndex {
            switch self.bytes[self.at] {
            case 0x20, 0x0A, 0x0D, 0x09: self.at += 1
            default: return
            }
        }
    }

    private mutating func end() throws(Rejection) {
        self.skipSpace()
        guard self.at == self.bytes.endIndex else { throw self.error("something follows the document") }
    }

    private var unexpectedEnd: Rejection { self.error("it ends too early") }
    private var unexpectedByte: Rejection { self.error("unexpected byte") }

    private func error(_ what: String) -> Rejection {
        .malformedJSON(what, at: self.at - self.bytes.startIndex + 1)
    }
}
