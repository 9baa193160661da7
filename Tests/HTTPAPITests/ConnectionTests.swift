import HTTPAPI
import NIOCore
import Serving
import Synchronization
import Testing

@Suite("Connections")
struct ConnectionTests {
    private static func limits(_ change: (inout HTTPConfiguration.Limits) -> Void) -> HTTPConfiguration.Limits {
        var limits = HTTPConfiguration.Limits()
        limits.lingerTime = .milliseconds(50)
        change(&limits)
        return limits
    }

    private static let get = "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\n"

    @Test("pipelined requests are answered in order")
    func pipelined() async throws {
        try await withServers { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(
                    Self.get + "X-Request-ID: one\r\n\r\n"
                        + "GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-ID: two\r\n\r\n"
                        + Self.get + "X-Request-ID: three\r\n\r\n"
                )
                return [try wire.reply(), try wire.reply(), try wire.reply()]
            }
            #expect(replies.map(\.status) == [200, 404, 200])
            #expect(replies.map { $0["x-request-id"] } == ["one", "two", "three"])
        }
    }

    @Test("a connection is kept, unless the client says otherwise")
    func keepAlive() async throws {
        try await withServers { ports in
            let last = try await onWire(ports.public) { wire in
                for _ in 0..<3 {
                    try wire.send(Self.get + "\r\n")
                    _ = try wire.reply()
                }
                try wire.send(Self.get + "Connection: Close\r\n\r\n")
                let last = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return last
            }
            #expect(last.status == 200)
            #expect(last["connection"] == "close")
            let old = try await onWire(ports.public) { wire in
                try wire.send("GET /v1/recommendations/u1 HTTP/1.0\r\n\r\n")
                let reply = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return reply
            }
            #expect(old.status == 200)
        }
    }

    @Test("headers beyond the limit are refused with a problem")
    func headerLimits() async throws {
        try await withServers { ports in
            let fits = Self.get + "X-Filler: " + String(repeating: "x", count: 60_000) + "\r\n\r\n"
            #expect(
                try await onWire(ports.public) {
                    try $0.send(fits); return try $0.reply().status
                } == 200
            )
            for tooLarge in [
                Self.get + "X-Filler: " + String(repeating: "x", count: 70_000) + "\r\n\r\n",
                Self.get + (0..<8).map { "X-\($0): " + String(repeating: "x", count: 9_000) + "\r\n" }.joined()
                    + "\r\n",
                Self.get + (0..<200).map { "X-\($0): x\r\n" }.joined() + "\r\n",
                "GET /" + String(repeating: "x", count: 70_000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
            ] {
                let reply = try await onWire(ports.public) { wire in
                    try wire.send(tooLarge)
                    let reply = try wire.reply()
                    _ = try wire.rest()
                    return reply
                }
                try reply.expectProblem(431, "headers_too_large")
                #expect(reply["connection"] == "close")
                #expect(reply["server"] == "vireo")
            }
        }
    }

    @Test(
        "what is not HTTP is refused with a problem",
        arguments: ["HELLO\r\n\r\n", "GET /livez HTTP/1.1\r\nBad Header\r\n\r\n"]
    )
    func notHTTP(_ bytes: String) async throws {
        try await withServers { ports in
            let reply = try await onWire(ports.public) { wire in
                try wire.send(bytes)
                let reply = try wire.reply()
                _ = try wire.rest()
                return reply
            }
            try reply.expectProblem(400, "malformed_http")
        }
    }

    @Test("nonsense behind a request comes after the request's answer")
    func pipelinedNonsense() async throws {
        try await withServers { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get + "\r\nNONSENSE\r\n\r\n")
                return [try wire.reply(), try wire.reply()]
            }
            #expect(replies.map(\.status) == [200, 400])
        }
    }

    @Test("a head that does not end is refused, and the connection closed")
    func slowHead() async throws {
        try await withServers(limits: Self.limits { $0.headerTime = .milliseconds(50) }) { ports in
            let reply = try await onWire(ports.public) { wire in
                try wire.send("GET /v1/recommendations/u1 HTTP/1.1\r\nHost: ")
                let reply = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return reply
            }
            try reply.expectProblem(408, "request_timeout")
        }
    }

    @Test("a head that drips is refused all the same")
    func drippingHead() async throws {
        try await withServers(limits: Self.limits { $0.headerTime = .milliseconds(200) }) { ports in
            let reply = try await onWire(ports.public) { wire in
                // The server ends this: a client that never stops sees its sends fail, or the answer.
                for byte in Array(Self.get.utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: 1_000) {
                    do { try wire.send([byte]) } catch { break }
                    if let reply = try wire.replyIfAny(within: 5) { return reply }
                }
                return try wire.reply()
            }
            try reply.expectProblem(408, "request_timeout")
        }
    }

    @Test("a body that does not end is refused, and the use case is not called")
    func slowBody() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, limits: Self.limits { $0.bodyTime = .milliseconds(50) }) { ports in
            let reply = try await onWire(ports.public) { wire in
                try wire.send(
                    "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
                )
                let reply = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return reply
            }
            try reply.expectProblem(408, "request_timeout")
            #expect(canned.last.feedback.isEmpty)
        }
    }

    /// A whole event in a body that says it goes on.
    private static let begun = [
        "Content-Length: 100\r\n\r\n" + #"{"user_id":"u1","item_id":"i1","type":"view"}"#,
        "Transfer-Encoding: chunked\r\n\r\n2d\r\n" + #"{"user_id":"u1","item_id":"i1","type":"view"}"# + "\r\n",
    ].map { "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + $0 }

    @Test("a body that a client breaks off never reaches the use case", arguments: Self.begun)
    func brokenBody(_ begun: String) async throws {
        let canned = Canned()
        let reply = try await withServers(canned.useCases) { ports in
            try await onWire(ports.public) { wire in
                try wire.send(begun)
                wire.shutdownOutput()
                return try wire.reply()
            }
        }
        try reply.expectProblem(400, "malformed_http")
        // The servers have ended, and with them whatever they still did.
        #expect(canned.last.feedback.isEmpty)
    }

    @Test("a body that stops never reaches the use case, whether it can be read or not", arguments: Self.begun)
    func stoppedBody(_ begun: String) async throws {
        let canned = Canned()
        let reply = try await withServers(canned.useCases, limits: Self.limits { $0.bodyTime = .milliseconds(50) }) {
            try await onWire($0.public) { wire in
                try wire.send(begun)
                return try wire.reply()
            }
        }
        try reply.expectProblem(408, "request_timeout")
        #expect(canned.last.feedback.isEmpty)
    }

    @Test("a client that is gone within a body leaves nothing", arguments: Self.begun)
    func goneWithinBody(_ begun: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await onWire(ports.public) { try $0.send(begun) }
            // The connection before is seen to end no later than this one's answer.
            _ = try await request(ports.public, "GET", "/v1/recommendations/u1")
        }
        #expect(canned.last.feedback.isEmpty)
    }

    @Test("an idle connection is closed without a word")
    func idle() async throws {
        try await withServers(limits: Self.limits { $0.idleTime = .milliseconds(50) }) { ports in
            let bytes = try await onWire(ports.public) { try $0.rest() }
            #expect(bytes.isEmpty)
        }
    }

    @Test("a client that ends its side after its request gets the answer")
    func halfClosed() async throws {
        try await withServers { ports in
            let reply = try await onWire(ports.public) { wire in
                try wire.send(Self.get + "\r\n")
                wire.shutdownOutput()
                return try wire.reply()
            }
            #expect(reply.status == 200)
        }
    }

    @Test("a client that waits to be told goes on, and one with too much is told not to")
    func expectContinue() async throws {
        try await withServers { ports in
            let event = #"{"user_id":"u1","item_id":"i1","type":"view"}"#
            let head =
                "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
            let statuses = try await onWire(ports.public) { wire in
                try wire.send(head + "Content-Length: \(event.utf8.count)\r\n\r\n")
                let first = try wire.reply()
                try wire.send(event)
                return [first.status, try wire.reply().status]
            }
            #expect(statuses == [100, 200])
            let refused = try await onWire(ports.public) { wire in
                try wire.send(head + "Content-Length: 99999999\r\n\r\n")
                return try wire.reply().status
            }
            #expect(refused == 413)
        }
    }

    @Test("a request that takes too long is answered for, even where the work does not stop")
    func deadline() async throws {
        let gate = Gate()
        var useCases = Canned().useCases
        useCases.recommend = { _ throws(ServingError) in
            await gate.wait()
            return .full
        }
        try await withServers(useCases, limits: Self.limits { $0.deadline = .milliseconds(50) }) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get + "\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
                return [try wire.reply(), try wire.reply()]
            }
            try replies[0].expectProblem(504, "deadline_exceeded")
            // The connection is still good.
            #expect(replies[1].status == 404)
            gate.open()
        }
    }

    @Test("a caller who waits for less is answered for then; what is no number of milliseconds is refused")
    func askedDeadline() async throws {
        let gate = Gate()
        var useCases = Canned().useCases
        useCases.recommend = { _ throws(ServingError) in
            await gate.wait()
            return .full
        }
        try await withServers(useCases, limits: Self.limits { $0.deadline = .seconds(60) }) { ports in
            let late = try await onWire(ports.public) { wire in
                try wire.send(Self.get + "X-Deadline-Ms: 60\r\n\r\n")
                return try wire.reply()
            }
            try late.expectProblem(504, "deadline_exceeded")
            gate.open()
            for value in ["0", "-1", "+5", "1.5", "", "1000000000", "5\r\nX-Deadline-Ms: 6"] {
                let refused = try await onWire(ports.public) { wire in
                    try wire.send(Self.get + "X-Deadline-Ms: \(value)\r\n\r\n")
                    return try wire.reply()
                }
                try refused.expectProblem(400, "malformed_header")
            }
            let answered = try await onWire(ports.public) { wire in
                try wire.send(Self.get + "X-Deadline-Ms: 999999999\r\n\r\n")
                return try wire.reply()
            }
            #expect(answered.status == 200)
        }
    }

    @Test("a shutdown lets requests in progress end")
    func draining() async throws {
        let gate = Gate()
        let arrived = Mutex(false)
        var useCases = Canned().useCases
        useCases.recommend = { _ throws(ServingError) in
            arrived.withLock { $0 = true }
            await gate.wait()
            return .full
        }
        // The request is held for as long as it takes to see the socket gone, on a busy machine too.
        try await withServers(useCases, limits: Self.limits { $0.deadline = .seconds(60) }) { ports in
            async let reply = onWire(ports.public) { wire in
                try wire.send(Self.get + "\r\n")
                let reply = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return reply
            }
            await poll { arrived.withLock { $0 } }
            await ports.stop()
            // Nothing new is let in: the listening socket is gone.
            await poll { (try? Wire(port: ports.admin)) == nil }
            gate.open()
            let status = try await reply.status
            #expect(status == 200)
        }
    }

    @Test("a request id is echoed if it may be, and made otherwise")
    func requestIDs() async throws {
        try await withServers { ports in
            for given in ["a", String(repeating: "x", count: 128), "01J-~!\"#"] {
                let reply = try await request(ports.admin, "GET", "/livez", headers: [("X-Request-ID", given)])
                #expect(reply["x-request-id"] == given)
            }
            var made: Set<String> = []
            for given in ["", "a b", "é", String(repeating: "x", count: 129)] {
                let reply = try await request(ports.admin, "GET", "/livez", headers: [("X-Request-ID", given)])
                let id = try #require(reply["x-request-id"])
                #expect(id != given)
                #expect(id.utf8.count == 26)
                made.insert(id)
            }
            #expect(made.count == 4)
        }
    }
}
