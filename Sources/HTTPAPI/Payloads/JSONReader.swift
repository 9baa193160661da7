/// A strict JSON reader, RFC 8259, for what is not trusted.
///
/// A general decoder keeps the last of two equal names, compares names by canonical equivalence, and cannot say where an
/// error is. This one refuses a name that comes twice, compares bytes, gives the position and the pointer of an error, and
/// bounds the depth and so the stack. It reads one document and nothing after it.
struct JSONReader {
    private let bytes: [UInt8]
    private var offset = 0
    private var path: [Step] = []
    private let maximumDepth: Int
    private let maximumNumber: Int

    private enum Step {
        case name(String)
        case index(Int)
    }

    /// What PostgreSQL's `jsonb`, which knows no exponents, may make of a number that was taken.
    static let maximumStoredNumber = 64 + 330

    private init(_ bytes: [UInt8], maximumDepth: Int, maximumNumber: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
        self.maximumNumber = maximumNumber
    }

    /// - Parameter maximumNumber: The most characters of a number; no number of more than 64 means anything else.
    static func read(
        _ bytes: [UInt8],
        maximumDepth: Int = 16,
        maximumNumber: Int = 64
    ) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes, maximumDepth: maximumDepth, maximumNumber: maximumNumber)
        reader.skipSpace()
        let value = try reader.value()
        reader.skipSpace()
        guard reader.offset == bytes.count else { throw reader.error(.trailingBytes) }
        return value
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        guard let first = self.peek else { throw self.error(.unexpectedEnd) }
        switch first {
        case UInt8(ascii: "{"): return try self.object()
        case UInt8(ascii: "["): return try self.array()
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "t"): return try self.word("true", .bool(true))
        case UInt8(ascii: "f"): return try self.word("false", .bool(false))
        case UInt8(ascii: "n"): return try self.word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try self.number()
        default: throw self.error(.unexpectedByte)
        }
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [JSONMember] = []
        var names: Set<[UInt8]> = []
        guard self.path.count < self.maximumDepth else { throw self.error(.tooDeep) }
        self.offset += 1
        self.skipSpace()
        if self.skip(UInt8(ascii: "}")) { return .object(members) }
        while true {
            guard let next = self.peek else { throw self.error(.unexpectedEnd) }
            guard next == UInt8(ascii: "\"") else { throw self.error(.unexpectedByte) }
            let start = self.offset
            let name = try self.string()
            self.path.append(.name(name))
            guard names.insert(Array(name.utf8)).inserted else {
                self.offset = start
                throw self.error(.duplicateName)
            }
            self.skipSpace()
            try self.expect(UInt8(ascii: ":"))
            self.skipSpace()
            members.append(JSONMember(name: name, value: try self.value()))
            self.path.removeLast()
            self.skipSpace()
            if self.skip(UInt8(ascii: "}")) { return .object(members) }
            try self.expect(UInt8(ascii: ","))
            self.skipSpace()
        }
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        guard self.path.count < self.maximumDepth else { throw self.error(.tooDeep) }
        self.offset += 1
        self.skipSpace()
        if self.skip(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            self.path.append(.index(elements.count))
            elements.append(try self.value())
            self.path.removeLast()
            self.skipSpace()
            if self.skip(UInt8(ascii: "]")) { return .array(elements) }
            try self.expect(UInt8(ascii: ","))
            self.skipSpace()
        }
    }

    private mutating func string() throws(JSONError) -> String {
        let start = self.offset
        self.offset += 1
        var text: [UInt8] = []
        while let byte = self.peek {
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    self.offset = start
                    throw self.error(.badUTF8)
                }
                self.offset += 1
                return string
            case UInt8(ascii: "\\"):
                let scalar = try self.escape()
                text.append(contentsOf: UTF8.encode(scalar)!)
            case ..<0x20:
                throw self.error(.controlCharacter)
            default:
                text.append(byte)
                self.offset += 1
            }
        }
        throw self.error(.unexpectedEnd)
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        let start = self.offset
        self.offset += 1
        guard let kind = self.peek else { throw self.error(.unexpectedEnd) }
        self.offset += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            if let unit = self.hexadecimal4() {
                if let scalar = Unicode.Scalar(unit) { return scalar }
                // The high half of a pair; only with its low half is it a character.
                if (0xD800...0xDBFF).contains(unit), self.skip(UInt8(ascii: "\\")), self.skip(UInt8(ascii: "u")),
                    let low = self.hexadecimal4(), (0xDC00...0xDFFF).contains(low),
                    let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + UInt32(low) - 0xDC00)
                {
                    return scalar
                }
            }
        default: break
        }
        self.offset = start
        throw self.error(.badEscape)
    }

    private mutating func hexadecimal4() -> UInt16? {
        guard self.offset + 4 <= self.bytes.count else { return nil }
        var value: UInt16 = 0
        for byte in self.bytes[self.offset..<self.offset + 4] {
            guard let digit = byte.hexadecimalDigit else { return nil }
            value = value << 4 | UInt16(digit)
        }
        self.offset += 4
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = self.offset
        var isInteger = true
        _ = self.skip(UInt8(ascii: "-"))
        var isWhole = self.skip(UInt8(ascii: "0")) || self.skipDigits() > 0
        if isWhole, self.skip(UInt8(ascii: ".")) {
            isInteger = false
            isWhole = self.skipDigits() > 0
        }
        if isWhole, self.skip(UInt8(ascii: "e")) || self.skip(UInt8(ascii: "E")) {
            isInteger = false
            _ = self.skip(UInt8(ascii: "+")) || self.skip(UInt8(ascii: "-"))
            isWhole = self.skipDigits() > 0
        }
        let digits = self.bytes[start..<self.offset]
        guard isWhole, digits.count <= self.maximumNumber else {
            if self.offset == self.bytes.count, !isWhole { throw self.error(.unexpectedEnd) }
            throw self.error(.badNumber)
        }
        let text = String(decoding: digits, as: UTF8.self)
        if isInteger, let integer = Int64(text) { return .integer(integer) }
        guard let number = Double(text) else { throw self.error(.badNumber) }
        return .number(number)
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for byte in UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount) {
            try self.expect(byte)
        }
        return value
    }

    private var peek: UInt8? { self.offset < self.bytes.count ? self.bytes[self.offset] : nil }

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.offset += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard let next = self.peek else { throw self.error(.unexpectedEnd) }
        guard next == byte else { throw self.error(.unexpectedByte) }
        self.offset += 1
    }

    private mutating func skipDigits() -> Int {
        let start = self.offset
        while let byte = self.peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { self.offset += 1 }
        return self.offset - start
    }

    private mutating func skipSpace() {
        while let byte = self.peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { self.offset += 1 }
    }

    private func error(_ reason: JSONError.Reason) -> JSONError {
        var pointer = Pointer.root
        for step in self.path {
            switch step {
            case .name(let name): pointer.append(name)
            case .index(let index): pointer.append(index)
            }
        }
        return JSONError(reason: reason, offset: self.offset, pointer: pointer)
    }
}

extension UInt8 {
    /// The value of an ASCII hexadecimal digit.
    var hexadecimalDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
