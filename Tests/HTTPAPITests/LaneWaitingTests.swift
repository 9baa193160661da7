import NIOCore
import NIOPosix
import RecommendationCore
import Serving
import Testing

@testable import HTTPAPI

/// Requests that the fast lane has wait for a look or a computation.
@Suite("Fast lane, waiting")
struct LaneWaitingTests {
    private static func get(_ user: String, id: String) -> String {
        "GET /v1/recommendations/\(user)?limit=3 HTTP/1.1\r\nHost: x\r\nX-Request-ID: \(id)\r\n\r\n"
    }

    private static let slow = "GET /v1/recommendations/cold1 HTTP/1.1\r\nHost: x\r\nX-Request-ID: s\r\n\r\n"

    @Test("what comes behind one that waits is answered after it, whoever answers")
    func order() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases(), limits: .patient) { ports in
            let users = ["l2", "u1", "new", "lost", "cold", "u2", "l2b", "l2c", "lost2", "u3"]
            let replies = try await onWire(ports.public) { wire in
                // At once, and then byte by byte.
                try wire.send(users.enumerated().map { Self.get($1, id: "a\($0)") }.joined())
                for byte in users.enumerated().map({ Self.get($1, id: "b\($0)") }).joined().utf8 {
                    try wire.send([byte])
                }
                return try (0..<2 * users.count).map { _ in try wire.reply() }
            }
            #expect(replies.map(\.status) == [Int](repeating: 200, count: 2 * users.count))
            let ids = users.indices.map { "a\($0)" } + users.indices.map { "b\($0)" }
            #expect(replies.map { $0["x-request-id"] } == ids)
            #expect(replies.map { try? $0.json["user_id"]?.text } == users + users)
            #expect(hot.answered.slow >= 6, "lost and cold ones are answered by the routes")
            #expect(hot.answered.fast >= 2, "the first of each row had nobody before it")
        }
    }

    @Test("what many connections wait for is looked for together")
    func together() async throws {
        let gate = Gate()
        let hot = try Hot(looking: { await gate.wait() })
        try await withServers(hot.useCases(), limits: .patient) { ports in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<24 {
                    group.addTask {
                        try await onWire(ports.public) { wire in
                            try wire.send(Self.get("l2-\(number)", id: "1"))
                            return try wire.reply().status
                        }
                    }
                }
                await poll { hot.asked == 24 }
                gate.open()
                for try await status in group { #expect(status == 200) }
            }
        }
        #expect(hot.answered.fast == 24)
        #expect(Set(hot.looks.joined()).count == 24)
        // Of each event loop two at once, and one of all that came meanwhile.
        #expect(hot.looks.count <= 3 * System.coreCount)
    }

    @Test("one that has waited long enough is answered by the routes, once")
    func patience() async throws {
        let gate = Gate()
        let hot = try Hot(looking: { await gate.wait() })
        try await withServers(hot.useCases()) { ports in
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("l2", id: "1") + Self.get("u1", id: "2"))
                let first = [try wire.reply(), try wire.reply()]
                // What is found too late is for nobody.
                gate.open()
                try wire.send(Self.get("u2", id: "3"))
                let last = try wire.reply()
                #expect(try wire.replyIfAny(within: 50) == nil)
                return first + [last]
            }
            #expect(replies.map { $0["x-request-id"] } == ["1", "2", "3"])
            #expect(replies.map(\.status) == [200, 200, 200])
            #expect(hot.answered.slow >= 1)
        }
    }

    @Test("a client that has sent all gets the answer that waits, and one that is gone none")
    func endings() async throws {
        let gate = Gate()
        let hot = try Hot(looking: { await gate.wait() })
        // The look does not end: the routes are told of the request as soon as the client has ended its side.
        try await withServers(hot.useCases(), limits: .patient) { ports in
            let reply = try await onWire(ports.public) { wire in
                try wire.send(Self.get("l2", id: "1"))
                wire.shutdownOutput()
                return try wire.reply()
            }
            #expect(reply.status == 200)
            try await onWire(ports.public) { try $0.send(Self.get("l2", id: "2")) }
            gate.open()
            let after = try await request(ports.public, "GET", "/v1/recommendations/u1")
            #expect(after.status == 200)
        }
    }

    @Test("a shutdown lets the request that waits end")
    func draining() async throws {
        let gate = Gate()
        let hot = try Hot(looking: { await gate.wait() })
        try await withServers(hot.useCases(), limits: .patient) { ports in
            async let reply = onWire(ports.public) { wire in
                try wire.send(Self.get("l2", id: "1"))
                return try wire.reply()
            }
            await poll { hot.asked == 1 }
            await ports.stop()
            let status = try await reply.status
            #expect(status == 200)
            gate.open()
        }
    }

    @Test("where the work does not get on, no more than some batches of it wait")
    func backlog() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let taken = try await loop.submit {
            let batches = LaneBatches<Int, Int>(on: loop, width: 1, maximum: 2, submit: { _ in }, work: { $0 })
            var taken = 0
            while batches.hasRoom, taken < 1_000 {
                batches.ask(taken) { _ in }
                taken += 1
            }
            return taken
        }.get()
        #expect(taken == 16)
    }

    @Test("more than a little behind one that waits is not held")
    func held() async throws {
        let gate = Gate()
        let hot = try Hot(looking: { await gate.wait() })
        try await withServers(hot.useCases(), limits: .patient) { ports in
            let count = 2_000
            let replies = try await onWire(ports.public) { wire in
                try wire.send(Self.get("l2", id: "0"))
                try wire.send((1...count).map { Self.get("u1", id: "\($0)") }.joined())
                return try (0...count).map { _ in try wire.reply()["x-request-id"] }
            }
            #expect(replies == (0...count).map { "\($0)" })
            gate.open()
        }
    }
}

extension HTTPConfiguration.Limits {
    /// The routes are not asked because a machine is busy.
    static var patient: Self {
        var limits = Self()
        limits.patience = .seconds(15)
        return limits
    }
}
