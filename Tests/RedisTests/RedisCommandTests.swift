import NIOCore
import Testing

@testable import Redis

@Suite("A Redis command")
struct RedisCommandTests {
    @Test("is encoded as an array of bulk strings")
    func encoding() {
        var command = RedisCommand("SET")
        command.append("k\u{e9}y")
        command.append([0, 13, 10, 255])
        #expect(
            command.encoded == Array("*3\r\n$3\r\nSET\r\n$4\r\nk\u{e9}y\r\n$4\r\n".utf8) + [0, 13, 10, 255, 13, 10]
        )
        #expect(RedisCommand("GET", "a", "").encoded == Array("*3\r\n$3\r\nGET\r\n$1\r\na\r\n$0\r\n\r\n".utf8))
        #expect(
            RedisCommand("X", arguments: [[1], []]).encoded == Array("*3\r\n$1\r\nX\r\n$1\r\n\u{1}\r\n$0\r\n\r\n".utf8)
        )
    }

    @Test(
        "numbers are written in decimal",
        arguments: [0, 7, 10, 99, 100, -1, -10, 1_000_000, .max, .min]
    )
    func numbers(number: Int) {
        var command = RedisCommand("X")
        command.append(number)
        let digits = String(number)
        #expect(command.encoded == Array("*2\r\n$1\r\nX\r\n$\(digits.utf8.count)\r\n\(digits)\r\n".utf8))
    }

    @Test("a buffer's readable bytes are an argument, and appending does not consume them")
    func buffers() {
        var buffer = ByteBuffer(string: "xxvalue")
        buffer.moveReaderIndex(forwardBy: 2)
        var command = RedisCommand("X")
        command.append(buffer)
        #expect(command.encoded == Array("*2\r\n$1\r\nX\r\n$5\r\nvalue\r\n".utf8))
        #expect(buffer.readableBytes == 5)
    }

    @Test("more than nine words and more than 99 bytes need more digits")
    func widths() {
        let text = String(repeating: "v", count: 1234)
        var command = RedisCommand("X")
        for _ in 0..<11 { command.append(text) }
        #expect(command.count == 12)
        #expect(command.encoded.starts(with: Array("*12\r\n$1\r\nX\r\n$1234\r\nvv".utf8)))
    }

    @Test("its description and mirror show no argument")
    func description() {
        let command = RedisCommand("AUTH", "secret")
        var dumped = ""
        dump(command, to: &dumped)
        #expect(!"\(command) \(dumped) \(String(reflecting: command))".contains("secret"))
    }
}

extension RedisCommand {
    var encoded: [UInt8] {
        var buffer = ByteBuffer()
        write(to: &buffer)
        return Array(buffer.readableBytesView)
    }
}
