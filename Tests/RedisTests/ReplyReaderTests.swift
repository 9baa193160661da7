import Testing

@testable import Redis

@Suite("The reply reader")
struct ReplyReaderTests {
    static let corpus: [(wire: String, reply: RedisReply)] = [
        ("+OK\r\n", .simpleString("OK")),
        ("+\r\n", .simpleString("")),
        ("-ERR no such thing\r\n", .error(RedisServerError(code: "ERR", message: "no such thing"))),
        ("-LOADING\r\n", .error(RedisServerError(code: "LOADING", message: ""))),
        (":-42\r\n", .integer(-42)),
        (":9223372036854775807\r\n", .integer(.max)),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("$0\r\n\r\n", .bulk([])),
        ("$7\r\na\r\nb\0\r\n\r\n", .bulk([97, 13, 10, 98, 0, 13, 10])),
        ("*0\r\n", .array([])),
        ("*2\r\n:1\r\n$-1\r\n", .array([.integer(1), .null])),
        (
            "*3\r\n*2\r\n:1\r\n*0\r\n-NO x\r\n*1\r\n*1\r\n$1\r\nz\r\n",
            .array([
                .array([.integer(1), .array([])]), .error(RedisServerError(code: "NO", message: "x")),
                .array([.array([.bulk([122])])]),
            ])
        ),
        (
            "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n",
            .array([.bulk(Array("message".utf8)), .bulk(Array("c".utf8)), .bulk(Array("hi".utf8))])
        ),
    ]

    static let stream = Array(corpus.map(\.wire).joined().utf8)

    @Test("reads the corpus, whatever place it is split at")
    func everySplit() throws {
        for split in 0...Self.stream.count {
            var parser = Parser()
            parser.feed(Self.stream[..<split])
            parser.feed(Self.stream[split...])
            #expect(parser.replies == Self.corpus.map(\.reply), "split at \(split)")
            #expect(parser.failure == nil)
        }
    }

    @Test("reads the corpus byte by byte, and a hundred times at once")
    func extremes() {
        var slow = Parser()
        for byte in Self.stream { slow.feed([byte]) }
        #expect(slow.replies == Self.corpus.map(\.reply))

        var fast = Parser()
        fast.feed((0..<100).flatMap { _ in Self.stream }[...])
        #expect(fast.replies.count == 100 * Self.corpus.count)
        #expect(Array(fast.replies.suffix(Self.corpus.count)) == Self.corpus.map(\.reply))
    }

    @Test("reads a bulk string of a megabyte in pieces")
    func large() {
        let payload = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var parser = Parser()
        parser.feed((Array("$1048576\r\n".utf8) + payload + [13, 10] + Array("+OK\r\n".utf8))[...], pieces: 4093)
        #expect(parser.replies == [.bulk(payload), .simpleString("OK")])
    }

    @Test(
        "refuses what is not RESP2",
        arguments: [
            "hello\r\n", "%1\r\n+a\r\n+b\r\n", "$-2\r\n", "$x\r\n", ":1x\r\n", ":99999999999999999999\r\n",
            "*-2\r\n", "*99999999999999\r\n", String(repeating: "*1\r\n", count: 20),
        ]
    )
    func refusals(wire: String) {
        var parser = Parser()
        parser.feed(Array(wire.utf8)[...])
        #expect(parser.failure != nil)
        #expect(parser.replies.isEmpty)
        let before = parser.failure
        parser.feed(Array("+OK\r\n".utf8)[...])
        #expect(parser.replies.isEmpty, "a broken stream stays broken")
        #expect(before != nil)
    }

    @Test("hands out the replies that precede an error")
    func repliesBeforeError() {
        var parser = Parser()
        parser.feed(Array("+OK\r\n:1\r\n?\r\n".utf8)[...])
        #expect(parser.replies == [.simpleString("OK"), .integer(1)])
        #expect(parser.failure != nil)
    }

    @Test(
        "gives up a reply that is larger than allowed, as one string or as many",
        arguments: ["$999999\r\n", "*999999\r\n"]
    )
    func tooLarge(head: String) {
        var parser = Parser(maximumReplyBytes: 1000)
        parser.feed(Array(head.utf8)[...])
        #expect(parser.failure == nil)
        for _ in 0..<200 where parser.failure == nil { parser.feed(Array(":12345\r\n".utf8)[...]) }
        #expect(parser.failure != nil)
        #expect(parser.fed < 1100)

        var small = Parser(maximumReplyBytes: 1000)
        for _ in 0..<1000 { small.feed(Array("$5\r\nhello\r\n".utf8)[...]) }
        #expect(small.failure == nil && small.replies.count == 1000)
    }

    @Test("survives noise and mutations, and reads them alike in any fragmentation", arguments: 0..<8 as Range<UInt64>)
    func hostileInput(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("*$:+-0123456789\r\n\r\n\r\nab".utf8)
        var failures = 0
        for round in 0..<1500 {
            var bytes: [UInt8]
            switch round % 3 {
            case 0:
                bytes = (0..<Int.random(in: 1...80, using: &generator)).map { _ in
                    .random(in: 0...255, using: &generator)
                }
            case 1:
                bytes = (0..<Int.random(in: 1...200, using: &generator)).map { _ in
                    alphabet.randomElement(using: &generator)!
                }
            default:
                bytes = Self.stream
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    bytes[Int.random(in: bytes.indices, using: &generator)] = alphabet.randomElement(using: &generator)!
                }
            }
            var whole = Parser(maximumReplyBytes: 1 << 20)
            whole.feed(bytes[...])
            var pieces = Parser(maximumReplyBytes: 1 << 20)
            pieces.feed(bytes[...], pieces: Int.random(in: 1...9, using: &generator))
            #expect(whole.replies == pieces.replies)
            #expect((whole.failure == nil) == (pieces.failure == nil))
            if whole.failure != nil { failures += 1 }
        }
        #expect(failures > 100)
    }
}

/// Feeds a reader as a connection does: until its first failure.
private struct Parser: ~Copyable {
    private var reader: ReplyReader
    private(set) var replies: [RedisReply] = []
    private(set) var failure: ReplyReader.Failure?
    private(set) var fed = 0

    init(maximumReplyBytes: Int = 64 << 20) {
        reader = ReplyReader(maximumReplyBytes: maximumReplyBytes)
    }

    mutating func feed(_ bytes: ArraySlice<UInt8>) {
        fed += bytes.count
        bytes.withUnsafeBytes { raw in
            do throws(ReplyReader.Failure) {
                try reader.feed(raw, into: &replies)
            } catch {
                failure = failure ?? error
            }
        }
    }

    mutating func feed(_ bytes: ArraySlice<UInt8>, pieces size: Int) {
        var rest = bytes
        while !rest.isEmpty, failure == nil {
            feed(rest.prefix(size))
            rest = rest.dropFirst(size)
        }
    }
}
