import Logging
import Testing

@testable import Observability

@Suite struct JSONLogHandlerTests {
    private let capture = LogCapture()

    private func logger(provider: Logger.MetadataProvider? = nil) -> Logger {
        Logger(label: "vireo.test") { label in
            JSONLogHandler(
                label: label,
                level: .trace,
                metadataProvider: provider,
                now: { LogTime(seconds: 1_795_249_344, nanoseconds: 123_456_789) },
                sink: capture.sink
            )
        }
    }

    @Test("a record is one line of JSON with its fields in order")
    func golden() {
        logger().info("served", metadata: ["n": "1", "request_id": "r1"], source: "HTTPAPI")
        let expected =
            #"{"time":"2026-11-21T08:22:24.123456Z","level":"info","label":"vireo.test","message":"served","#
            + #""request_id":"r1","source":"HTTPAPI","metadata":{"n":"1"}}"# + "\n"
        #expect(capture.lines == [expected])
    }

    @Test("nothing is said of metadata, request and error where there are none")
    func bare() throws {
        logger().warning("x")
        let record = try #require(try capture.records().first)
        for key in ["metadata", "request_id", "error"] { #expect(record[key] == nil) }
        #expect(record["source"] == "ObservabilityTests")
    }

    @Test("metadata named like a field of the record stay apart from it")
    func collisions() throws {
        logger().info("real", metadata: ["message": "forged", "level": "forged", "metadata": "forged"])
        let record = try #require(try capture.records().first)
        #expect(record["message"] == "real")
        #expect(record["level"] == "info")
        #expect(record["metadata"]?["message"] == "forged")
    }

    static let hostile: [String] =
        (0...0x20).map { "a" + String(Character(Unicode.Scalar(UInt8($0)))) + "b" }
        + [
            "\"},{\"x\":\"y", "\\", "\\\"", "\u{7F}\u{80}\u{85}\u{9B}31m\u{A0}", "\u{2028}\u{2029}\u{202E}\u{2066}",
            "€—…",
            "\r\n", "🦆👨‍👩‍👧‍👦", "\u{FFFE}\u{FFFF}\u{10FFFF}", "é\u{301}", "", "</script>",
            String(decoding: [0x61, 0xFF, 0xC0, 0x80, 0xED, 0xA0, 0x80, 0xF4] as [UInt8], as: UTF8.self),
        ]

    @Test("hostile text is valid JSON, on one line, and reads back the same", arguments: hostile)
    func escaping(text: String) throws {
        logger().info("\(text)", metadata: ["k\(text)": "\(text)", "list": [.string(text)]])
        let line = try #require(capture.lines.first)
        #expect(line.unicodeScalars.count { $0.properties.generalCategory == .control } == 1)
        #expect(line.unicodeScalars.allSatisfy { !["\u{2028}", "\u{2029}", "\u{202E}", "\u{2066}"].contains($0) })
        let record = try #require(try capture.records().first)
        #expect(record["message"] == .string(text))
        #expect(record["metadata"]?["k\(text)"] == .string(text))
        #expect(record["metadata"]?["list"] == .array([.string(text)]))
    }

    @Test("nested metadata keep their shape, numbers and booleans their type")
    func nesting() throws {
        let values: Logger.Metadata = [
            "d": ["a": ["x", ["y": "z"]], "e": .dictionary([:])], "i": .stringConvertible(-7),
            "u": .stringConvertible(UInt8(200)), "f": .stringConvertible(0.5), "b": .stringConvertible(true),
            "inf": .stringConvertible(Double.infinity), "t": .stringConvertible(Duration.seconds(1)),
        ]
        logger().info("x", metadata: values)
        let metadata = try #require(try capture.records().first?["metadata"])
        #expect(metadata["d"] == .object(["a": .array(["x", .object(["y": "z"])]), "e": .object([:])]))
        #expect(metadata["i"] == .number(-7))
        #expect(metadata["u"] == .number(200))
        #expect(metadata["f"] == .number(0.5))
        #expect(metadata["b"] == .bool(true))
        #expect(metadata["inf"] == "inf")
        #expect(metadata["t"] == "1.0 seconds")
    }

    @Test("the statement's metadata win over the provider's, and the provider's over the logger's")
    func precedence() throws {
        var log = logger(provider: Logger.MetadataProvider { ["a": "provider", "b": "provider"] })
        log[metadataKey: "a"] = "logger"
        log[metadataKey: "c"] = "logger"
        log.info("x", metadata: ["b": "statement"])
        let metadata = try #require(try capture.records().first?["metadata"])
        #expect(metadata == .object(["a": "provider", "b": "statement", "c": "logger"]))
    }

    @Test("a logger's metadata are its own copy's")
    func valueSemantics() throws {
        let log = logger()
        var copy = log
        copy[metadataKey: "k"] = "v"
        copy.logLevel = .error
        log.info("x")
        #expect(log[metadataKey: "k"] == nil)
        #expect(try capture.records().first?["metadata"] == nil)
    }

    @Test("Hummingbird's request id is the request's id, unless there is one of ours")
    func requestID() throws {
        logger().info("x", metadata: ["hb.request.id": "h"])
        logger().info("x", metadata: ["hb.request.id": "h", "request_id": "r"])
        let records = try capture.records()
        #expect(records[0]["request_id"] == "h")
        #expect(records[1]["request_id"] == "r")
        #expect(records[1]["metadata"] == .object(["hb.request.id": "h"]))
    }

    @Test("an error is told, without the password in it")
    func error() throws {
        struct Refused: Error { let url = "redis://u:hunter2@h:6379" }
        logger().error("x", error: Refused())
        let line = try #require(capture.lines.first)
        #expect(line.contains("Refused"))
        #expect(!line.contains("hunter2"))
        _ = try capture.records()
    }

    @Test("very long text is cut between two scalars and its size told")
    func length() throws {
        let text = "x" + String(repeating: "é", count: LogText.limit)
        logger().info("\(text)")
        guard case .string(let message) = try #require(try capture.records().first?["message"]) else {
            Issue.record("no message")
            return
        }
        #expect(message.hasSuffix("é… (\(text.utf8.count) bytes)"))
        #expect(!message.contains("\u{FFFD}"))
        #expect(message.utf8.count < LogText.limit + 64)
    }

    @Test("secrets are masked at any depth, in the logger's metadata and the statement's")
    func redaction() throws {
        var log = logger()
        log[metadataKey: "authorization"] = "Bearer hunter2"
        log.info(
            "connecting to postgres://vireo:hunter2@db/vireo",
            metadata: [
                "db": ["Password": "hunter2", "url": "redis://:hunter2@h:6379/0"],
                "API-Key": ["hunter2"], "list": [["token": "hunter2"], "amqp://u:hunter2@h"],
                "dsn": .stringConvertible(Described()),
            ]
        )
        let line = try #require(capture.lines.first)
        #expect(!line.contains("hunter2"))
        let record = try #require(try capture.records().first)
        #expect(record["message"] == "connecting to postgres://vireo:[redacted]@db/vireo")
        #expect(record["metadata"]?["API-Key"] == "[redacted]")
        #expect(record["metadata"]?["db"]?["url"] == "redis://:[redacted]@h:6379/0")
    }

    private struct Described: CustomStringConvertible {
        let description = "host=db password=hunter2 dbname=v"
    }
}
