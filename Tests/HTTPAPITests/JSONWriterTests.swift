import NIOCore
import Testing

@testable import HTTPAPI

@Suite("JSON writer")
struct JSONWriterTests {
    private static func written(_ write: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter(capacity: 16)
        write(&json)
        return String(buffer: json.buffer)
    }

    @Test(
        "a score has four decimals at most",
        arguments: [
            (0, "0"), (1, "1"), (0.8123, "0.8123"), (0.52, "0.52"), (0.5, "0.5"), (0.0001, "0.0001"),
            (0.00004, "0"), (0.99999, "1"), (-0.25, "-0.25"), (-0.00001, "0"), (12.003, "12.003"),
            (1e30, "900000000000"), (.nan, "0"), (.infinity, "0"), (-0.0, "0"), (100.05, "100.05"),
        ] as [(Float, String)]
    )
    func fixed(_ value: Float, _ expected: String) {
        #expect(Self.written { $0.fixed(value) } == expected)
    }

    @Test("a string is escaped where it must be, and nowhere else")
    func strings() {
        let text = "a\"b\\c\nd\te\rf\u{0}\u{1F}\u{7F}é😀/"
        #expect(Self.written { $0.string(text) } == #""a\"b\\c\nd\te\rf\u0000\u001f"# + "\u{7F}é😀/\"")
        #expect(Self.written { $0.string("") } == "\"\"")
        #expect(Self.written { $0.string("\"") } == #""\"""#)
        #expect(Self.written { $0.string(nil) } == "null")
    }

    @Test("what is written is read again")
    func roundTrip() throws {
        var generator = SeededGenerator(state: 7)
        for _ in 0..<2_000 {
            let scalars = (0..<8).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &generator)) }
            var text = ""
            text.unicodeScalars.append(
                contentsOf: scalars + (0..<4).map { _ in Unicode.Scalar(UInt8.random(in: 0...127, using: &generator)) }
            )
            let bytes = Array(Self.written { $0.string(text) }.utf8)
            guard case .string(let read) = try JSONReader.read(bytes) else {
                Issue.record("not a string")
                return
            }
            #expect(read.hasSameBytes(as: text))
        }
    }

    @Test("numbers that JSON does not have are null")
    func doubles() {
        #expect(Self.written { $0.double(0.21) } == "0.21")
        #expect(Self.written { $0.double(1e-7) } == "1e-07")
        #expect(Self.written { $0.double(.nan) } == "null")
    }
}
