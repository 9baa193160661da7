import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import Redis

@Suite("The reply reader under hostile input")
struct ReplyReaderFuzzTests {
    static let rounds = 15_000

    @Test(
        "survives mutated streams, and reads each alike whole and in random chunks",
        arguments: 0..<8 as Range<UInt64>
    )
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var failures = 0
        var replies = 0
        for round in 0..<Self.rounds {
            let bytes = Self.input(round, using: &generator)
            let whole = Self.read(bytes, chunk: bytes.count)
            let pieces = Self.read(bytes, chunk: Int.random(in: 1...16, using: &generator), using: &generator)
            // One comparison a round: expectations are dear.
            if whole.replies != pieces.replies || whole.failed != pieces.failed {
                Issue.record("seed \(seed), round \(round): \(bytes)")
            }
            failures += whole.failed ? 1 : 0
            replies += whole.replies.count
        }
        #expect(failures > Self.rounds / 4 && failures < Self.rounds, "both kinds of input are tried")
        #expect(replies > Self.rounds)
    }

    @Test("well-formed replies come out as they went in, at any chunk size", arguments: 0..<4 as Range<UInt64>)
    func roundTrip(seed: UInt64) {
        var generator = SeededGenerator(seed: seed &+ 100)
        for round in 0..<2_000 {
            let sent = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                Self.reply(depth: 0, using: &generator)
            }
            let wire = sent.flatMap(Self.encoded)
            let read = Self.read(wire, chunk: Int.random(in: 1...32, using: &generator), using: &generator)
            if read.replies != sent || read.failed { Issue.record("seed \(seed), round \(round): \(sent)") }
        }
    }

    @Test("an error closes the connection, once, and nothing is heard from it afterwards")
    func channel() throws {
        var generator = SeededGenerator(seed: 7)
        var closed = 0
        for round in 0..<2_000 {
            let receiver = Recorder()
            let channel = EmbeddedChannel(handler: ReplyHandler(receiver: receiver, maxReplyBytes: 1 << 16))
            // Active, so that its end is an end.
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            let bytes = Self.input(round, using: &generator)
            var rest = bytes[...]
            while !rest.isEmpty, channel.isActive {
                let chunk = rest.prefix(Int.random(in: 1...64, using: &generator))
                rest = rest.dropFirst(chunk.count)
                try channel.writeInbound(ByteBuffer(bytes: chunk))
            }
            let whole = Self.read(bytes, chunk: bytes.count)
            #expect(receiver.replies == whole.replies)
            #expect(channel.isActive == !whole.failed)
            if whole.failed {
                closed += 1
                guard case .protocolViolation = receiver.losses.first else {
                    Issue.record("closed for \(receiver.losses)")
                    continue
                }
                // A security layer may still hold decoded bytes.
                _ = try? channel.writeInbound(ByteBuffer(string: "+OK\r\n"))
                #expect(receiver.replies == whole.replies)
            }
            _ = try channel.finish(acceptAlreadyClosed: true)
        }
        #expect(closed > 400)
    }
}

extension ReplyReaderFuzzTests {
    private final class Recorder: ReplyReceiver {
        private let state = Mutex<(replies: [RedisReply], losses: [RedisConnectionLoss])>(([], []))

        var replies: [RedisReply] { state.withLock { $0.replies } }
        var losses: [RedisConnectionLoss] { state.withLock { $0.losses } }

        func repliesReceived(_ replies: [RedisReply]) { state.withLock { $0.replies += replies } }
        func connectionLost(_ reason: RedisConnectionLoss) { state.withLock { $0.losses.append(reason) } }
    }

    private static let alphabet = Array("*$:+-0123456789\r\n\r\n\r\nab%~>|#_,(=!".utf8)
    /// What breaks parsers: lengths at the borders of integers, RESP3, inline text, line ends cut in half.
    private static let poison = [
        "$9223372036854775807\r\n", "$-9223372036854775808\r\n", "$2147483648\r\nx", "*2147483647\r\n",
        "*4294967297\r\n",
        "$-2\r\n", "*-2\r\n", ":\r\n", "$\r\n", "*\r\n", "|1\r\n+k\r\n+v\r\n+OK\r\n", ">2\r\n+message\r\n+x\r\n",
        "%1\r\n", "_\r\n",
        "#t\r\n", ",1.5\r\n", "(12345678901234567890\r\n", "=7\r\ntxt:abc\r\n", "~1\r\n:1\r\n", "!3\r\nERR\r\n",
        "$?\r\n;0\r\n", "\r", "\n",
        "\0", "PING\r\n", "$3\r\nabcd\r\n", ":1\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    ].map { Array($0.utf8) }

    /// Of the round: noise, noise of the protocol's letters, or valid replies with some bytes changed, lost, doubled, or
    /// replaced by poison.
    private static func input(_ round: Int, using generator: inout SeededGenerator) -> [UInt8] {
        switch round % 8 {
        case 0:
            return (0..<Int.random(in: 1...80, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
        case 1:
            return (0..<Int.random(in: 1...120, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator)!
            }
        default: break
        }
        var bytes = (0..<Int.random(in: 1...4, using: &generator)).flatMap { _ in
            encoded(reply(depth: 0, using: &generator))
        }
        for _ in 0..<Int.random(in: 0...3, using: &generator) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &generator)
            let end = min(bytes.count, place + Int.random(in: 1...6, using: &generator))
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[place] = .random(in: 0...255, using: &generator)
            case 1: bytes[place] = alphabet.randomElement(using: &generator)!
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            case 4: bytes.insert(contentsOf: poison.randomElement(using: &generator)!, at: place)
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }

    private static func reply(depth: Int, using generator: inout SeededGenerator) -> RedisReply {
        switch Int.random(in: 0..<(depth < 5 ? 8 : 6), using: &generator) {
        case 0: return .simpleString(["OK", "", "QUEUED"].randomElement(using: &generator)!)
        case 1:
            return .error(RedisServerError(code: "ERR", message: "of a \(Int.random(in: 0...9, using: &generator))"))
        case 2: return .integer([0, -1, .max, .min].randomElement(using: &generator)!)
        case 3: return .null
        case 4: return .bulk([])
        case 5:
            let count = Int.random(in: 0...40, using: &generator)
            return .bulk((0..<count).map { _ in alphabet.randomElement(using: &generator)! })
        default:
            let count = Int.random(in: 0...4, using: &generator)
            return .array((0..<count).map { _ in reply(depth: depth + 1, using: &generator) })
        }
    }

    private static func encoded(_ reply: RedisReply) -> [UInt8] {
        switch reply {
        case .simpleString(let text): Array("+\(text)\r\n".utf8)
        case .error(let error): Array("-\(error)\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .null: Array("$-1\r\n".utf8)
        case .bulk(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10]
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(encoded)
        }
    }

    private static func read(
        _ bytes: [UInt8],
        chunk limit: Int,
        using generator: inout SeededGenerator
    ) -> (replies: [RedisReply], failed: Bool) {
        read(bytes) { Int.random(in: 1...limit, using: &generator) }
    }

    private static func read(_ bytes: [UInt8], chunk: Int) -> (replies: [RedisReply], failed: Bool) {
        read(bytes) { max(chunk, 1) }
    }

    /// Feeds a reader as a connection does: until its first failure.
    private static func read(_ bytes: [UInt8], chunk: () -> Int) -> (replies: [RedisReply], failed: Bool) {
        var reader = ReplyReader(maximumReplyBytes: 1 << 16)
        var replies: [RedisReply] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + chunk())
            let failed = bytes[start..<end].withUnsafeBytes { raw in
                do throws(ReplyReader.Failure) {
                    try reader.feed(raw, into: &replies)
                    return false
                } catch {
                    return true
                }
            }
            if failed { return (replies, true) }
            start = end
        }
        return (replies, false)
    }
}
