import InMemoryLogging
import Logging
import Metrics
import MetricsTestKit
import NIOCore
import RecommendationCore
import Serving
import Testing

@testable import HTTPAPI

@Suite("Fast lane")
struct FastLaneTests {
    private static func get(_ user: String, id: String = "r1", query: String = "?limit=3") -> String {
        "GET /v1/recommendations/\(user)\(query) HTTP/1.1\r\nHost: x\r\nX-Request-ID: \(id)\r\n\r\n"
    }

    private static let feedback: String = {
        let body = #"{"user_id":"u1","item_id":"i1","type":"view"}"#
        return "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + "X-Request-ID: post\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }()

    private static func withoutDate(_ reply: Reply) -> String {
        reply.head.split(separator: "\r\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("Date: ") }
            .joined(separator: "\r\n")
    }

    @Test("both lanes give the same bytes")
    func equality() async throws {
        let hot = try Hot()
        let targets = [
            "u1", "new", "l2", "lost", "a%2Fb", "%F0%9F%98%80", "a|b", "{x}", "caf%C3%A9", "*", "a:b", "%22",
        ].flatMap {
            user in
            ["", "?limit=1", "?limit=100&explain=full", "?explain=none&surface=email", "?explain=reason&limit=050"].map
            {
                user + $0
            }
        }
        let ask: @Sendable (Ports, String) async throws -> [Reply] = { ports, method in
            try await onWire(ports.public) { wire in
                try targets.map { target in
                    try wire.send(
                        "\(method) /v1/recommendations/\(target) HTTP/1.1\r\nHost: x\r\nx-request-id: id-1\r\n"
                            + "Accept: */*\r\nUser-Agent: test/1.0\r\nConnection: keep-alive\r\n\r\n"
                    )
                    return try wire.reply(hasBody: method == "GET")
                }
            }
        }
        for method in ["GET", "HEAD"] {
            let fast = try await withServers(hot.useCases(), limits: .patient) { try await ask($0, method) }
            let slow = try await withServers(hot.useCases(fast: false)) { try await ask($0, method) }
            for index in targets.indices {
                #expect(fast[index].status == 200)
                #expect(Self.withoutDate(fast[index]) == Self.withoutDate(slow[index]), "\(method) \(targets[index])")
                #expect(fast[index].text == slow[index].text, "\(method) \(targets[index])")
                #expect(fast[index]["date"]?.utf8.count == slow[index]["date"]?.utf8.count)
            }
        }
        // Of those that are lost the routes answer here, too.
        let lost = targets.count { $0.hasPrefix("lost") }
        #expect(hot.answered.fast == 2 * (targets.count - lost))
        #expect(hot.answered.slow == 2 * (targets.count + lost))
    }

    @Test("the date is that of RFC 9110")
    func date() async throws {
        let hot = try Hot()
        let reply = try await withServers(hot.useCases()) {
            try await request($0.public, "GET", "/v1/recommendations/u1")
        }
        #expect(reply["date"] == "Tue, 01 Sep 2026 10:00:00 GMT")
        #expect(reply["x-request-id"]?.utf8.count == 26)
        #expect(hot.answered.fast == 1)
    }

    @Test(
        "what is asked otherwise is answered by the routes",
        arguments: [
            "GET /v1/recommendations/u1?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1?limit=101 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1?limit=5&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1?surfac=home HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1?limit HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1?&limit=1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1? HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1?limit=%31 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/%0A HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/%FF HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/cold1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http://x/v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            "DELETE /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\nX-Request-ID: b\r\n\r\n",
            "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "GET /v1/recommendations/u1 HTTP/1.0\r\n\r\n",
            "GET /v1/recommendations/u1 HTTP/1.1\r\nBad Header\r\n\r\n",
            "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nA: \u{E9}\r\n\r\n",
        ]
    )
    func passedOn(_ bytes: String) async throws {
        let hot = try Hot()
        let ask: @Sendable (Ports) async throws -> Reply = { ports in
            try await onWire(ports.public) { wire in
                try wire.send(bytes)
                return try wire.reply()
            }
        }
        let fast = try await withServers(hot.useCases()) { try await ask($0) }
        #expect(hot.answered.fast == 0)
        let slow = try await withServers(hot.useCases(fast: false)) { try await ask($0) }
        #expect(fast.status == slow.status)
        #expect(fast["connection"] == slow["connection"])
    }

    @Test("a request behind a slow one waits its turn")
    func hotBehindSlow() async throws {
        let gate = Gate()
        let hot = try Hot(slowly: { await gate.wait() })
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("cold1", id: "1") + Self.get("u1", id: "2"))
                try wire.send(Self.get("u2", id: "3"))
                #expect(try wire.replyIfAny(within: 100) == nil)
                gate.open()
                return try (0..<3).map { _ in try wire.reply() }
            }
            #expect(replies.map { $0["x-request-id"] } == ["1", "2", "3"])
            #expect(replies.map(\.status) == [200, 200, 200])
            #expect(hot.answered.fast == 0)
            // Once it is quiet again the lane is open.
            gate.open()
            _ = try await onWire(ports.public) { wire in
                try wire.send(Self.get("cold1", id: "1"))
                _ = try wire.reply()
                try wire.send(Self.get("u1", id: "2"))
                return try wire.reply()
            }
            #expect(hot.answered.fast == 1)
        }
    }

    @Test("a slow request behind one that was answered at once comes after it")
    func slowBehindHot() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("u1", id: "1") + Self.get("cold1", id: "2") + Self.get("u2", id: "3"))
                return try (0..<3).map { _ in try wire.reply() }
            }
            #expect(replies.map { $0["x-request-id"] } == ["1", "2", "3"])
            #expect(hot.answered.fast == 1)
        }
    }

    @Test("a thousand mixed requests over one connection are answered in order")
    func mixed() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let ids = try await onWire(ports.public) { wire in
                var generator = SeededGenerator(state: 11)
                var expected: [String] = []
                var received: [String] = []
                while expected.count < 1_000 {
                    var burst: [UInt8] = []
                    let begun = expected.count
                    for _ in 0..<Int.random(in: 1...20, using: &generator) {
                        let id = String(expected.count)
                        let isPost = Int.random(in: 0..<10, using: &generator) == 0
                        let user = Bool.random(using: &generator) ? "u\(id)" : "cold\(id)"
                        burst += Array((isPost ? Self.feedback : Self.get(user, id: id, query: "?limit=1")).utf8)
                        expected.append(isPost ? "post" : id)
                    }
                    // In pieces of any size.
                    while !burst.isEmpty {
                        let length = min(burst.count, Int.random(in: 1...700, using: &generator))
                        try wire.send(Array(burst.prefix(length)))
                        burst.removeFirst(length)
                    }
                    for _ in begun..<expected.count { received.append(try wire.reply()["x-request-id"] ?? "none") }
                }
                return (expected, received)
            }
            #expect(ids.0 == ids.1)
            #expect(hot.answered.fast > 50)
        }
    }

    @Test("answers that are not taken are held in no memory without bound, and come all in order")
    func clientThatDoesNotRead() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let ids = try await onWire(ports.public) { wire in
                let count = 2_000
                try wire.send((0..<count).map { Self.get("u\($0)", id: "\($0)", query: "?limit=10") }.joined())
                return try (0..<count).map { _ in try wire.reply()["x-request-id"] ?? "none" }
            }
            #expect(ids == (0..<2_000).map(String.init))
            // Those that could not be written at once went the other way.
            #expect(hot.answered.slow > 0)
        }
    }

    @Test("a request that comes byte by byte is answered, and the next one at once")
    func singleBytes() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                for byte in Self.get("u1", id: "1").utf8 {
                    try wire.send([byte])
                    _ = try wire.replyIfAny(within: 1)
                        .map { _ in Issue.record("an answer to half a request") }
                }
                let first = try wire.reply()
                try wire.send(Self.get("u2", id: "2"))
                return [first, try wire.reply()]
            }
            #expect(replies.map { $0["x-request-id"] } == ["1", "2"])
            // Which lane took the first depends on how its bytes were gathered on their way.
            #expect(hot.answered.slow + hot.answered.fast == 2)
            #expect(hot.answered.fast >= 1)
        }
    }

    @Test("nonsense behind an answer is refused after it, and the connection ends")
    func garbage() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("u1") + "NONSENSE\r\n\r\n" + Self.get("u2"))
                let replies = [try wire.reply(), try wire.reply()]
                #expect(try wire.rest().isEmpty)
                return replies
            }
            #expect(replies.map(\.status) == [200, 400])
            #expect(replies[1]["connection"] == "close")
            #expect(hot.answered.fast == 1)
        }
    }

    @Test("a connection is closed after the answer whose request says so")
    func close() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("u1"))
                let first = try wire.reply()
                try wire.send(
                    "GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + Self.get("u2")
                )
                let second = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return [first, second]
            }
            #expect(replies.map { $0["connection"] } == [nil, "close"])
        }
    }

    @Test("who has sent all gets all answers")
    func halfClose() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("u1", id: "1") + Self.get("u2", id: "2"))
                wire.shutdownOutput()
                let replies = [try wire.reply(), try wire.reply()]
                #expect(try wire.rest().isEmpty)
                return replies
            }
            #expect(replies.map { $0["x-request-id"] } == ["1", "2"])
        }
    }

    @Test("a key is asked for, and one that is revoked is refused at the next change")
    func keys() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases(), authentication: true) { ports in
            let path = "/v1/recommendations/u1"
            try await request(ports.public, "GET", path).expectProblem(401, "unauthenticated")
            for bad in ["Bearer other", "Basic reader", "reader", "Bearer reader,reader", "Bearer  "] {
                try await request(ports.public, "GET", path, headers: [("Authorization", bad)])
                    .expectProblem(401, "unauthenticated")
            }
            #expect(hot.answered.fast == 0)
            let statuses = try await onWire(ports.public) { wire in
                func ask(_ key: String) throws -> Int {
                    try wire.send("GET \(path) HTTP/1.1\r\nHost: x\r\nAuthorization: \(key)\r\n\r\n")
                    return try wire.reply().status
                }
                var statuses = [try ask("Bearer reader"), try ask("bearer  reader"), try ask("Bearer readeR")]
                #expect(hot.answered.fast == 2)
                hot.change([:])
                statuses.append(try ask("Bearer reader"))
                hot.change(["reader": Principal(tenant: .acme, scopes: [.write])])
                statuses.append(try ask("Bearer reader"))
                hot.change(["reader": Principal(tenant: .acme, scopes: [.read])])
                statuses.append(try ask("Bearer reader"))
                return statuses
            }
            #expect(statuses == [200, 200, 401, 401, 403, 200])
            #expect(hot.answered.fast == 3)
        }
    }

    @Test("without a lease, and on a node that stops, the routes answer")
    func noLease() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            hot.loseLease()
            let reply = try await request(ports.public, "GET", "/v1/recommendations/u1")
            #expect(reply.status == 200)
            #expect(hot.answered.fast == 0)
            #expect(hot.answered.slow == 1)
        }
        let stopping = try Hot()
        var useCases = stopping.useCases()
        useCases.isStopping = { true }
        let reply = try await withServers(useCases) { try await request($0.public, "GET", "/v1/recommendations/u1") }
        #expect(reply["connection"] == "close")
        #expect(stopping.answered.fast == 0)
    }

    @Test("an item that is denied is in no answer from then on")
    func tombstone() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let path = "/v1/recommendations/u1?limit=20"
            let before = try await request(ports.public, "GET", path)
            let item = try #require(Self.items(before).first { !$0.contains("\"") })
            hot.deny(item)
            let after = try await request(ports.public, "GET", path)
            #expect(!Self.items(after).contains(item))
            #expect(after.text.contains(#""filtered":{"tombstone":1,"#))
            #expect(hot.answered.fast == 2)
        }
    }

    private static func items(_ reply: Reply) -> [String] {
        guard case .array(let items)? = try? reply.json["items"] else { return [] }
        return items.compactMap { $0["item_id"]?.text }
    }

    @Test("requests keep a connection open, and silence ends it")
    func idle() async throws {
        let hot = try Hot()
        let idle = Duration.milliseconds(500)
        var limits = HTTPConfiguration.Limits()
        limits.idleTime = idle
        try await withServers(hot.useCases(), limits: limits) { ports in
            var closed: (answers: Int, rest: [UInt8], silence: Duration)?
            while closed == nil {
                closed = try await onWire(ports.public) { wire in
                    let start = ContinuousClock.now
                    var (asked, before, answers) = (start, start, 0)
                    do {
                        while ContinuousClock.now - start < idle * 2 || answers < 2 {
                            (before, asked) = (asked, .now)
                            try wire.send(Self.get("u1"))
                            _ = try wire.reply()
                            answers += 1
                            _ = try wire.replyIfAny(within: 50)
                        }
                    } catch  where ContinuousClock.now - before >= idle {
                        // A machine that stood still for as long says nothing of the server.
                        return nil
                    }
                    return (answers, try wire.rest(), ContinuousClock.now - asked)
                }
            }
            let (answers, rest, silence) = try #require(closed)
            #expect(answers > 1)
            #expect(rest.isEmpty)
            #expect(silence >= idle)
            #expect(hot.answered.slow == 0)
        }
    }

    @Test("a head that does not end is refused as it would be without the lane", arguments: ["", "GET hot"])
    func slowHead(_ before: String) async throws {
        let hot = try Hot()
        var limits = HTTPConfiguration.Limits()
        limits.headerTime = .milliseconds(50)
        limits.lingerTime = .milliseconds(50)
        try await withServers(hot.useCases(), limits: limits) { ports in
            let reply = try await onWire(ports.public) { wire in
                if !before.isEmpty {
                    try wire.send(Self.get("u1"))
                    _ = try wire.reply()
                }
                try wire.send("GET /v1/recommendations/u1 HTTP/1.1\r\nHost: ")
                let reply = try wire.reply()
                #expect(try wire.rest().isEmpty)
                return reply
            }
            try reply.expectProblem(408, "request_timeout")
        }
    }

    @Test("both lanes count and log alike")
    func telemetry() async throws {
        func counted(fast: Bool) async throws -> ([String], [Int64]) {
            let metrics = TestMetrics()
            let hot = try Hot()
            let lines = try await withMetricsFactory(metrics) {
                try await withServers(hot.useCases(fast: fast)) { ports in
                    for method in ["GET", "GET", "HEAD"] {
                        _ = try await request(
                            ports.public,
                            method,
                            "/v1/recommendations/alice",
                            headers: [("X-Request-ID", "r1")]
                        )
                    }
                    return ports.logs.entries.filter { $0.message == "request" }.map { entry in
                        "\(entry.level) "
                            + entry.metadata.filter { $0.key != "duration_ms" }.map { "\($0)=\($1)" }.sorted()
                            .joined(separator: " ") + " \(entry.metadata["duration_ms"] != nil)"
                    }
                }
            }
            #expect(hot.answered.fast == (fast ? 3 : 0))
            let route = ("route", "/v1/recommendations/{user_id}")
            let counts = ["GET", "HEAD"].map { method in
                metrics.counterTotal(
                    label: "vireo_http_requests_total",
                    dimensions: [route, ("method", method), ("status", "200")]
                )
            }
            let timer = try metrics.expectTimer("vireo_http_request_seconds", [route])
            return (lines, counts + [Int64(timer.values.count)])
        }
        let fast = try await counted(fast: true)
        let slow = try await counted(fast: false)
        #expect(fast.0 == slow.0)
        #expect(fast.0.count == 3)
        #expect(fast.1 == [2, 1, 3])
        #expect(slow.1 == [2, 1, 3])
    }
}
