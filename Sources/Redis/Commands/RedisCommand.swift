public import NIOCore

/// A command, encoded while it is built.
///
///     var command = RedisCommand("HMGET")
///     command.append(key)
///     command.append("floor")
///
/// Arguments go straight into one byte buffer; only the argument count is written when the command is sent.
public struct RedisCommand: Sendable {
    /// The number of words, the name included.
    public private(set) var count = 0
    private var body: ByteBuffer
    /// Where in the body the key stands that says which node of a cluster is asked; nil: there is none.
    private var keyRange: Range<Int>?

    /// Starts a command; `capacity` is a guess of its encoded size.
    public init(_ name: String, capacity: Int = 128) {
        body = ByteBufferAllocator().buffer(capacity: capacity)
        append(name)
    }

    /// Makes a whole command of text words.
    public init(_ name: String, _ arguments: String...) {
        self.init(name)
        for argument in arguments { append(argument) }
    }

    /// Makes a whole command of a name and byte arguments.
    public init(_ name: String, arguments: [[UInt8]]) {
        self.init(name, capacity: arguments.reduce(64) { $0 + $1.count + 16 })
        for argument in arguments { append(argument) }
    }

    /// Makes a whole command of a name, its one key, and byte arguments behind it.
    public init(_ name: String, key: [UInt8], arguments: [[UInt8]] = []) {
        self.init(name, capacity: arguments.reduce(80 + key.count) { $0 + $1.count + 16 })
        append(key: key)
        for argument in arguments { append(argument) }
    }

    /// Appends an argument of bytes.
    public mutating func append(_ bytes: [UInt8]) {
        beginArgument(count: bytes.count)
        body.writeBytes(bytes)
        body.writeStaticString("\r\n")
        count += 1
    }

    /// Appends a key; by the first of a command a cluster knows whom to ask, and all of one command must be in one slot.
    public mutating func append(key: [UInt8]) {
        append(key)
        guard keyRange == nil else { return }
        let end = body.writerIndex - 2
        keyRange = end - key.count..<end
    }

    /// The slot of the key; nil: no key was named.
    var slot: HashSlot? {
        keyRange.flatMap { body.viewBytes(at: $0.lowerBound, length: $0.count) }.map { HashSlot(of: $0) }
    }

    /// Appends the UTF-8 bytes of the text.
    public mutating func append(_ text: String) {
        beginArgument(count: text.utf8.count)
        body.writeString(text)
        body.writeStaticString("\r\n")
        count += 1
    }

    /// Appends a number in decimal.
    public mutating func append(_ number: Int) {
        beginArgument(count: Self.decimalWidth(number))
        body.writeDecimal(number)
        body.writeStaticString("\r\n")
        count += 1
    }

    /// Appends the readable bytes of the buffer.
    public mutating func append(_ buffer: ByteBuffer) {
        beginArgument(count: buffer.readableBytes)
        body.writeImmutableBuffer(buffer)
        body.writeStaticString("\r\n")
        count += 1
    }

    /// The bytes that `write` appends.
    var encodedSize: Int { 3 + Self.decimalWidth(count) + body.readableBytes }

    /// Appends the encoded command to a buffer that goes out to the network.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "*"))
        buffer.writeDecimal(count)
        buffer.writeStaticString("\r\n")
        buffer.writeImmutableBuffer(body)
    }

    private mutating func beginArgument(count: Int) {
        body.writeInteger(UInt8(ascii: "$"))
        body.writeDecimal(count)
        body.writeStaticString("\r\n")
    }

    private static func decimalWidth(_ number: Int) -> Int {
        var width = number < 0 ? 2 : 1
        var rest = number.magnitude
        while rest >= 10 {
            rest /= 10
            width += 1
        }
        return width
    }
}

extension RedisCommand: CustomStringConvertible, CustomReflectable {
    /// The size only: arguments may be secrets.
    public var description: String { "RedisCommand(\(count) words, \(body.readableBytes) bytes)" }

    /// Shows no arguments: they may be secrets.
    public var customMirror: Mirror { Mirror(self, children: ["count": count]) }
}

extension ByteBuffer {
    fileprivate mutating func writeDecimal(_ number: Int) {
        if number < 0 { writeInteger(UInt8(ascii: "-")) }
        var divisor: UInt = 1
        let magnitude = number.magnitude
        while magnitude / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            writeInteger(UInt8(ascii: "0") + UInt8(magnitude / divisor % 10))
            divisor /= 10
        }
    }
}
