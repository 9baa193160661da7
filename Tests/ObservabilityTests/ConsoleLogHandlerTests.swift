import Logging
import Testing

@testable import Observability

@Suite struct ConsoleLogHandlerTests {
    private let capture = LogCapture()

    private func logger() -> Logger {
        Logger(label: "vireo.test") { _ in
            ConsoleLogHandler(
                level: .trace,
                now: { LogTime(seconds: 1_795_249_344, nanoseconds: 123_456_789) },
                sink: capture.sink
            )
        }
    }

    @Test("a record is time, level, message and its metadata by key")
    func golden() {
        logger().info("serving", metadata: ["port": .stringConvertible(8080), "host": "::1", "note": "a b"])
        #expect(capture.lines == [#"08:22:24.123 INFO  serving host=::1 note="a b" port=8080"# + "\n"])
    }

    @Test("nested metadata are readable, and what would not read as one word is in quotation marks")
    func nesting() {
        logger().error("x", metadata: ["a": ["1", "two words", ""], "d": ["k": "v", "l": "a=b"]])
        #expect(capture.lines == [#"08:22:24.123 ERROR x a=[1 "two words" ""] d={ k=v l="a=b" }"# + "\n"])
    }

    @Test("text cannot end the line or steer the terminal")
    func controls() throws {
        logger().notice("a\n08:00 INFO forged\u{1B}[2J", metadata: ["k\n": "\u{1B}]0;x\u{07}", "c": "\u{9B}2J"])
        let line = try #require(capture.lines.first)
        #expect(line.unicodeScalars.count { $0.properties.generalCategory == .control } == 1)
        #expect(line.hasPrefix(#"08:22:24.123 NOTE  a\n08:00 INFO forged\u001b[2J "#))
    }

    @Test("secrets are masked as in JSON")
    func redaction() throws {
        logger().info(
            "redis://u:hunter2@h",
            metadata: ["secret": "hunter2", "d": ["passwd": ["hunter2"]], "u": "http://a:hunter2@h/"]
        )
        let line = try #require(capture.lines.first)
        #expect(!line.contains("hunter2"))
        #expect(line.contains("redis://u:[redacted]@h d={ passwd=[redacted] } secret=[redacted]"))
    }
}
