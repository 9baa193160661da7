import Redis
import Testing

@Suite("A Redis reply")
struct RedisReplyTests {
    @Test("its accessors give the value, nil for null, or a typed error")
    func accessors() throws {
        #expect(try RedisReply.bulk([104, 105]).string() == "hi")
        #expect(try RedisReply.simpleString("hi").bytes() == [104, 105])
        #expect(try RedisReply.null.string() == nil)
        #expect(try RedisReply.integer(3).integer() == 3)
        #expect(try RedisReply.bulk(Array("-17".utf8)).integer() == -17)
        #expect(try RedisReply.array([.null]).array() == [.null])
        try RedisReply.simpleString("OK").ok()

        #expect(throws: RedisError.unexpectedReply(expected: "integer", found: "null")) {
            try RedisReply.null.integer()
        }
        #expect(throws: RedisError.unexpectedReply(expected: "array", found: "bulk string")) {
            try RedisReply.bulk([]).array()
        }
        #expect(throws: RedisError.unexpectedReply(expected: "OK", found: "null")) { try RedisReply.null.ok() }
    }

    @Test("an error reply is thrown by every accessor, split into code and message")
    func errors() {
        let error = RedisServerError(code: "WRONGTYPE", message: "Operation against a key")
        let reply = RedisReply.error(error)
        #expect(throws: RedisError.server(error)) { try reply.bytes() }
        #expect(throws: RedisError.server(error)) { try reply.ok() }
        #expect(throws: RedisError.server(error)) { try reply.checked() }
        #expect(error.description == "WRONGTYPE Operation against a key")
    }
}
