import Testing

@testable import HTTPAPI

@Suite("JSON reader")
struct JSONReaderTests {
    private static func read(_ text: String) throws(JSONError) -> JSONValue {
        try JSONReader.read(Array(text.utf8))
    }

    /// The value in a form that can be compared: strings by their bytes.
    private static func describe(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let bool): "\(bool)"
        case .integer(let integer): "i\(integer)"
        case .number(let number): "n\(number)"
        case .string(let string): "s\(Array(string.utf8))"
        case .array(let elements): "[" + elements.map(Self.describe).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(Array($0.name.utf8)):\(Self.describe($0.value))" }.joined(separator: ",") + "}"
        }
    }

    @Test(
        "what is JSON is read",
        arguments: [
            ("null", "null"), (" true\n", "true"), ("false", "false"), ("0", "i0"), ("-12", "i-12"), ("1.5", "n1.5"),
            ("1e3", "n1000.0"), ("-0.25E-1", "n-0.025"), ("9223372036854775807", "i9223372036854775807"),
            ("9223372036854775808", "n9.223372036854776e+18"), ("1e999", "ninf"), ("[]", "[]"), ("{}", "{}"),
            ("[1, [2]]", "[i1,[i2]]"), (#"{"a":1,"b":null}"#, "{[97]:i1,[98]:null}"), (#""é""#, "s[195, 169]"),
            (#""\u00e9\n\/\"\\""#, "s[195, 169, 10, 47, 34, 92]"), (#""\ud83d\ude00""#, "s[240, 159, 152, 128]"),
            (#""\u0000""#, "s[0]"),
        ]
    )
    func reads(_ text: String, _ expected: String) throws {
        #expect(Self.describe(try Self.read(text)) == expected)
    }

    @Test(
        "what is not JSON is refused with its place",
        arguments: [
            ("", JSONError.Reason.unexpectedEnd, 0, "#"), ("{", .unexpectedEnd, 1, "#"),
            (#"{"a""#, .unexpectedEnd, 4, "#/a"), (#"{"a":"#, .unexpectedEnd, 5, "#/a"),
            (#"{"a":1"#, .unexpectedEnd, 6, "#"), (#"{"a":1,}"#, .unexpectedByte, 7, "#"),
            (#"{a:1}"#, .unexpectedByte, 1, "#"), (#"{"a" 1}"#, .unexpectedByte, 5, "#/a"),
            ("[1,]", .unexpectedByte, 3, "#/1"), ("[1 2]", .unexpectedByte, 3, "#"), ("tru", .unexpectedEnd, 3, "#"),
            ("trux", .unexpectedByte, 3, "#"), ("nul1", .unexpectedByte, 3, "#"), ("1 2", .trailingBytes, 2, "#"),
            ("{}{}", .trailingBytes, 2, "#"), ("01", .trailingBytes, 1, "#"), ("-", .unexpectedEnd, 1, "#"),
            ("[-]", .badNumber, 2, "#/0"), ("[1.]", .badNumber, 3, "#/0"), ("[1e]", .badNumber, 3, "#/0"),
            ("+1", .unexpectedByte, 0, "#"), (".5", .unexpectedByte, 0, "#"), ("NaN", .unexpectedByte, 0, "#"),
            (#""a"#, .unexpectedEnd, 2, "#"), ("\"a\u{1}\"", .controlCharacter, 2, "#"),
            (#""\x""#, .badEscape, 1, "#"), (#""\u12g4""#, .badEscape, 1, "#"), (#""\ud800""#, .badEscape, 1, "#"),
            (#""\udc00""#, .badEscape, 1, "#"), (#""\ud800\u0041""#, .badEscape, 1, "#"),
            (#"{"a":{"b":[0,"\q"]}}"#, .badEscape, 14, "#/a/b/1"), ("'a'", .unexpectedByte, 0, "#"),
            ("\u{FEFF}{}", .unexpectedByte, 0, "#"), ("/* */1", .unexpectedByte, 0, "#"),
            ("[" + String(repeating: "1", count: 65) + "]", .badNumber, 66, "#/0"),
        ]
    )
    func refuses(_ text: String, _ reason: JSONError.Reason, _ offset: Int, _ pointer: String) {
        let error = #expect(throws: JSONError.self) { try Self.read(text) }
        #expect(error?.reason == reason)
        #expect(error?.offset == offset)
        #expect(error?.pointer.string == pointer)
    }

    @Test("a name that comes twice is refused, escaped or not")
    func duplicateName() {
        let error = #expect(throws: JSONError.self) { try Self.read(#"{"x":{"a/b":1,"c":2,"\u0061/b":3}}"#) }
        #expect(error?.reason == .duplicateName)
        #expect(error?.pointer.string == "#/x/a~1b")
        #expect(error?.offset == 20)
    }

    @Test("names that only look alike are two names")
    func canonicalEquivalents() throws {
        let value = try Self.read("{\"caf\u{E9}\":1,\"cafe\u{301}\":2}")
        #expect(
            Self.describe(value) == "{[99, 97, 102, 195, 169]:i1,[99, 97, 102, 101, 204, 129]:i2}"
        )
    }

    @Test("bytes that are not UTF-8 are refused")
    func invalidUTF8() {
        for bytes: [UInt8] in [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] {
            let error = #expect(throws: JSONError.self) { try JSONReader.read([0x22] + bytes + [0x22]) }
            #expect(error?.reason == .badUTF8)
        }
    }

    @Test("depth is bounded")
    func depth() throws {
        let deepest = String(repeating: "[", count: 16) + String(repeating: "]", count: 16)
        _ = try Self.read(deepest)
        for open in ["[", #"{"a":"#] {
            let error = #expect(throws: JSONError.self) { try Self.read(String(repeating: open, count: 100_000)) }
            #expect(error?.reason == .tooDeep)
        }
    }

    @Test("mutated documents are read or refused, and never crash")
    func mutations() {
        var generator = SeededGenerator(state: 42)
        let seeds = [
            #"{"event_id":"c1-9f","user_id":"u1","value":-1.5e+3,"tags":["\ud83d\ude00",null,true],"o":{"a":{}}}"#,
            #"[[[1,2,{"x":"\u00e9\\\"\n"}],false],0.0,"é😀"]"#,
        ].map { Array($0.utf8) }
        let alphabet = Array(#"{}[]":,\u0dDeE+-.truefalsn "#.utf8) + [0x00, 0x1F, 0x7F, 0x80, 0xC3, 0xED, 0xFF]
        var read = 0
        var refused = 0
        for _ in 0..<30_000 {
            var bytes = seeds.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[index] = alphabet.randomElement(using: &generator)!
                case 1: bytes.insert(alphabet.randomElement(using: &generator)!, at: index)
                case 2: bytes.remove(at: index)
                default: bytes.removeLast(bytes.count - index)
                }
            }
            do {
                _ = try JSONReader.read(bytes)
                read += 1
            } catch {
                #expect(error.offset <= bytes.count)
                refused += 1
            }
        }
        #expect(read > 100)
        #expect(refused > 10_000)
    }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
