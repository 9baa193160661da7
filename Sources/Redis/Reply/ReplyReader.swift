internal import CHiredis

/// Parses RESP2 with hiredis' reader, straight into `RedisReply` values.
///
/// The reader calls the functions below for each element, depth first, and passes the pointers they return around
/// without looking at them. So they return a constant, and the values are assembled in a `ReplyBuilder` found through
/// `privdata`; nothing crosses the border that would have to be freed.
@safe struct ReplyReader: ~Copyable {
    /// The bytes are not RESP2, or a reply is larger than allowed.
    ///
    /// The connection cannot be used any more.
    struct Failure: Error, Hashable {
        let message: String
    }

    /// The reader moves what is left in its buffer after every reply, so it is fed in pieces small enough to be cheap.
    private static let pieceSize = 16 * 1024

    private let reader: UnsafeMutablePointer<redisReader>
    private let builder = ReplyBuilder()
    private let maximumReplyBytes: Int
    /// Bytes fed since the last reply was complete.
    private var pendingBytes = 0

    init(maximumReplyBytes: Int = 64 << 20) {
        guard let reader = unsafe redisReaderCreateWithFunctions(ReplyBuilder.functions) else {
            preconditionFailure("out of memory")
        }
        unsafe self.reader = unsafe reader
        self.maximumReplyBytes = maximumReplyBytes
        // Without this the buffer is given back and allocated again whenever it runs empty.
        unsafe reader.pointee.maxbuf = 0
        // The builder is owned by this value, which frees the reader before it lets go of the builder.
        unsafe reader.pointee.privdata = unsafe Unmanaged.passUnretained(builder).toOpaque()
    }

    deinit {
        unsafe redisReaderFree(reader)
    }

    /// Takes the next bytes of the stream and appends the replies that they complete.
    mutating func feed(_ bytes: UnsafeRawBufferPointer, into replies: inout [RedisReply]) throws(Failure) {
        var rest = unsafe bytes[...]
        while unsafe !rest.isEmpty {
            let piece = unsafe UnsafeRawBufferPointer(rebasing: rest.prefix(Self.pieceSize))
            unsafe rest = unsafe rest.dropFirst(piece.count)
            let start = unsafe piece.baseAddress!.assumingMemoryBound(to: CChar.self)
            guard unsafe redisReaderFeed(reader, start, piece.count) == REDIS_OK else { throw failure() }
            pendingBytes += piece.count
            try takeReplies(into: &replies)
            guard pendingBytes <= maximumReplyBytes else {
                throw Failure(message: "a reply is larger than \(maximumReplyBytes) bytes")
            }
        }
    }

    private mutating func takeReplies(into replies: inout [RedisReply]) throws(Failure) {
        while true {
            var complete: UnsafeMutableRawPointer?
            guard unsafe redisReaderGetReply(reader, &complete) == REDIS_OK else { throw failure() }
            guard unsafe complete != nil, let reply = builder.takeReply() else { return }
            replies.append(reply)
            pendingBytes = unsafe reader.pointee.len - reader.pointee.pos
        }
    }

    private func failure() -> Failure {
        let message = unsafe withUnsafeBytes(of: reader.pointee.errstr) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return Failure(message: message)
    }
}

/// Assembles nested replies from hiredis' callbacks.
private final class ReplyBuilder {
    private struct Frame {
        var remaining: Int
        var elements: [RedisReply] = []
    }

    private var frames: [Frame] = []
    private var reply: RedisReply?

    func takeReply() -> RedisReply? { reply.take() }

    private func arrayBegan(count: Int) {
        guard count > 0 else { return valueRead(.array([])) }
        // The count is the server's claim: it does not decide how much memory is set aside.
        var frame = Frame(remaining: count)
        frame.elements.reserveCapacity(min(count, 64))
        frames.append(frame)
    }

    private func valueRead(_ value: RedisReply) {
        var value = value
        while !frames.isEmpty {
            let last = frames.count - 1
            frames[last].elements.append(value)
            frames[last].remaining -= 1
            guard frames[last].remaining == 0 else { return }
            value = .array(frames.removeLast().elements)
        }
        reply = value
    }

    private static func of(_ task: UnsafePointer<redisReadTask>?) -> ReplyBuilder {
        // Set in `ReplyReader.init`; hiredis copies it into every task.
        unsafe Unmanaged<ReplyBuilder>.fromOpaque(task!.pointee.privdata).takeUnretainedValue()
    }

    /// Not null: a null return means "out of memory" to hiredis.
    private static var token: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: 1) }

    /// Allocated once, never changed and never freed, so every thread may read it.
    nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        unsafe functions.initialize(
            to: redisReplyObjectFunctions(
                createString: { task, bytes, count in
                    let raw = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
                    let value: RedisReply =
                        switch unsafe task!.pointee.type {
                        case REDIS_REPLY_STATUS: unsafe .simpleString(String(decoding: raw, as: UTF8.self))
                        case REDIS_REPLY_ERROR: unsafe .error(.init(line: String(decoding: raw, as: UTF8.self)))
                        default: unsafe .bulk([UInt8](raw))
                        }
                    unsafe ReplyBuilder.of(task).valueRead(value)
                    return unsafe ReplyBuilder.token
                },
                createArray: { task, count in
                    unsafe ReplyBuilder.of(task).arrayBegan(count: Int(count))
                    return unsafe ReplyBuilder.token
                },
                createInteger: { task, number in
                    unsafe ReplyBuilder.of(task).valueRead(.integer(number))
                    return unsafe ReplyBuilder.token
                },
                createNil: { task in
                    unsafe ReplyBuilder.of(task).valueRead(.null)
                    return unsafe ReplyBuilder.token
                },
                freeObject: { _ in }
            )
        )
        return unsafe functions
    }()
}
