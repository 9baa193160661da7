/// A RESP2 reply.
///
/// Bulk strings are `[UInt8]` and not `ByteBuffer`: a copy is made in any case, as hiredis hands out its own buffer, and
/// an array is one allocation where a byte buffer is two.
public enum RedisReply: Sendable, Hashable {
    /// A status line such as `OK`.
    case simpleString(String)
    /// A binary-safe string.
    case bulk([UInt8])
    /// An integer.
    case integer(Int64)
    /// A null bulk string or a null array.
    case null
    /// An array, whose elements may be error replies.
    case array([RedisReply])
    /// An error reply.
    case error(RedisServerError)
}

extension RedisReply {
    /// True for the null reply.
    public var isNull: Bool { self == .null }

    /// The bytes of a bulk or simple string, nil for null.
    public func bytes() throws(RedisError) -> [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .simpleString(let text): Array(text.utf8)
        case .null: nil
        default: throw mismatch("string")
        }
    }

    /// The text of a bulk or simple string, nil for null; invalid UTF-8 is repaired.
    public func string() throws(RedisError) -> String? {
        switch self {
        case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
        case .simpleString(let text): text
        case .null: nil
        default: throw mismatch("string")
        }
    }

    /// The number of an integer reply, or of a bulk string that holds a decimal number.
    public func integer() throws(RedisError) -> Int64 {
        switch self {
        case .integer(let number): return number
        case .bulk(let bytes):
            guard let number = Int64(String(decoding: bytes, as: UTF8.self)) else { throw mismatch("integer") }
            return number
        default: throw mismatch("integer")
        }
    }

    /// The elements of an array.
    public func array() throws(RedisError) -> [RedisReply] {
        guard case .array(let elements) = self else { throw mismatch("array") }
        return elements
    }

    /// Checks that the reply is the status `OK`.
    public func ok() throws(RedisError) {
        guard case .simpleString("OK") = self else { throw mismatch("OK") }
    }

    /// The reply itself, unless it is an error reply: that is thrown.
    public func checked() throws(RedisError) -> RedisReply {
        if case .error(let error) = self { throw .server(error) }
        return self
    }

    private func mismatch(_ expected: String) -> RedisError {
        if case .error(let error) = self { return .server(error) }
        return .unexpectedReply(expected: expected, found: kind)
    }

    private var kind: String {
        switch self {
        case .simpleString: "simple string"
        case .bulk: "bulk string"
        case .integer: "integer"
        case .null: "null"
        case .array: "array"
        case .error: "error"
        }
    }
}
