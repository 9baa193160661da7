import Caching
import LocalServers
import Redis
import RedisAdapters
import Testing

/// Each test has a Redis of its own: the channel is one for a whole fleet.
@Suite("invalidation bus on Redis")
struct InvalidationBusTests {
    private static func invalidations(_ count: Int, _ redis: RedisSubject) -> [BusMessage] {
        (0..<count).map { .invalidation(Invalidation(key: redis.key("user \($0)"), version: Int64($0) + 1)) }
    }

    @Test("what is published is heard, once and in order")
    func order() async throws {
        try await withBus { bus, server in
            var sent: [BusMessage] = []
            for round in 0..<40 {
                let messages = Self.invalidations(round % 5, bus.redis) + [.control]
                sent += messages
                try await bus.bus.publish(messages)
            }
            try await eventually("all is heard") { bus.messages.count >= sent.count }
            #expect(bus.messages == sent)
        }
    }

    @Test("a long list goes out in messages of 64")
    func batches() async throws {
        try await withBus { bus, server in
            let sent = Self.invalidations(150, bus.redis)
            try await bus.redis.send("CONFIG", "RESETSTAT")
            try await bus.bus.publish(sent)
            try await eventually("all is heard") { bus.messages.count >= sent.count }
            #expect(bus.messages == sent)
            let statistics = try await bus.redis.send("INFO", "commandstats").string() ?? ""
            #expect(statistics.contains("cmdstat_publish:calls=3,"))
        }
    }

    @Test("publishing nothing is fine")
    func empty() async throws {
        try await withBus { bus, server in
            try await bus.bus.publish([])
            try await bus.bus.publish([.control])
            try await eventually("the control message is heard") { bus.messages == [.control] }
        }
    }

    @Test("two nodes hear the same")
    func twoNodes() async throws {
        try await withBus(node: "n1") { first, server in
            try await withBus(on: server, node: "n2") { second, _ in
                let sent = Self.invalidations(70, first.redis)
                try await second.bus.publish(sent)
                try await eventually("both have heard") { first.messages == sent && second.messages == sent }
            }
        }
    }

    @Test(
        "a message that cannot be read ends the session, and a new one begins",
        arguments: [
            "", "i", "i 5", "i 5 ", "i x key", "i  key", "i 5 a b", "c\n", "\nc", "C", "future 1 {a}",
            "i 5 a\nnonsense",
            "i 99999999999999999999 a",
        ]
    )
    func unreadable(_ payload: String) async throws {
        try await withBus { bus, server in
            try await bus.redis.send("PUBLISH", "vireo:bus", payload)
            try await eventually("a new session") { bus.sessions.count >= 2 }
            #expect(bus.heard.contains(.ended(session: bus.sessions[0])))
            #expect(bus.sessions[1] > bus.sessions[0])
            // Nothing of it was applied, and what comes next is heard.
            #expect(bus.messages.isEmpty)
            try await eventually("the next message is heard") {
                try await bus.bus.publish([.control])
                return bus.messages.contains(.control)
            }
        }
    }

    @Test("bytes that are no text end the session")
    func notText() async throws {
        try await withBus { bus, server in
            _ = try await bus.redis.client.send(
                RedisCommand("PUBLISH", arguments: [Array("vireo:bus".utf8), [0xFF, 0x00, 0x20]])
            )
            try await eventually("a new session") { bus.sessions.count >= 2 }
        }
    }

    @Test("a heartbeat comes back to the node that sent it, and to no other")
    func heartbeats() async throws {
        try await withBus(node: "n1") { first, server in
            try await withBus(on: server, node: "n2") { second, _ in
                let session = first.sessions[0]
                for number in 1...5 as ClosedRange<UInt64> {
                    _ = try await first.bus.send(Heartbeat(session: session, number: number))
                }
                _ = try await second.bus.send(Heartbeat(session: 9, number: 9))
                try await eventually("all are back") { first.heartbeats.count == 5 && second.heartbeats.count == 1 }
                #expect(first.heartbeats == (1...5).map { Heartbeat(session: session, number: $0) })
                #expect(second.heartbeats == [Heartbeat(session: 9, number: 9)])
            }
        }
    }

    @Test("a heartbeat returns the relay's position and Redis time, and leaves its mark for two seconds")
    func heartbeatReply() async throws {
        try await withBus { bus, server in
            let before = try await bus.redis.now()
            let first = try await bus.bus.send(Heartbeat(session: 1, number: 1))
            let after = try await bus.redis.now()
            #expect(first.relayed == nil && first.controlHead == nil)
            #expect((before...after).contains(first.milliseconds))
            let relayed = position(123_456_789_012, 123_456_789_020, [123_456_789_012, 123_456_789_015])
            try await bus.redis.cache.set(relayed, controlHead: 77)
            let second = try await bus.bus.send(Heartbeat(session: 3, number: 42))
            #expect(second.relayed == relayed && second.controlHead == 77)
            // Each pass is another, though it brought nothing new; one that cannot be read is none.
            try await bus.redis.cache.set(relayed, controlHead: 77)
            let third = try await bus.bus.send(Heartbeat(session: 3, number: 42))
            #expect(third.relayed == relayed && third.pass != nil && third.pass != second.pass)
            #expect(first.pass == nil)
            try await bus.redis.send("DEL", "vireo:\(bus.redis.incarnation):pass")
            try await bus.redis.send("RPUSH", "vireo:\(bus.redis.incarnation):pass", "a list")
            #expect(try await bus.bus.send(Heartbeat(session: 3, number: 42)).pass == nil)
            try await bus.redis.cache.set(relayed, controlHead: 77)
            #expect(try await bus.bus.send(Heartbeat(session: 3, number: 42)).pass != nil)
            let name = "vireo:\(bus.redis.incarnation):heartbeat:n1"
            #expect(try await (1...2_000).contains(bus.redis.timeToLive(name)))
            #expect(try await bus.redis.send("GET", name).string() == "3:42")
            // A position that cannot be read, or a key of another type, is none, and ends no heartbeat.
            try await bus.redis.send("SET", "vireo:\(bus.redis.incarnation):relayed", "nonsense")
            #expect(try await bus.bus.send(Heartbeat(session: 3, number: 43)).relayed == nil)
            try await bus.redis.send("DEL", "vireo:\(bus.redis.incarnation):relayed")
            try await bus.redis.send("RPUSH", "vireo:\(bus.redis.incarnation):relayed", "a list")
            #expect(try await bus.bus.send(Heartbeat(session: 3, number: 44)).relayed == nil)
        }
    }

    @Test("a heartbeat tells the history of the data: FLUSHALL goes on in it, having been a replica begins another")
    func history() async throws {
        try await withBus { bus, server in
            func beat() async throws -> DataHistory? {
                try await bus.bus.send(Heartbeat(session: 1, number: 1)).history
            }
            let first = try #require(try await beat())
            #expect(first.id.utf8.count == 40)
            try await bus.redis.send("FLUSHALL")
            let emptied = try #require(try await beat())
            #expect(emptied.id == first.id && emptied.offset >= first.offset)
            // Of a primary that is not there. A replica that takes writes says nothing of its own.
            try await bus.redis.send("CONFIG", "SET", "replica-read-only", "no")
            try await bus.redis.send("REPLICAOF", "127.0.0.1", "1")
            #expect(try await beat() == nil)
            try await bus.redis.send("REPLICAOF", "NO", "ONE")
            let promoted = try #require(try await beat())
            #expect(promoted.id != first.id)
            #expect(bus.sessions.count == 1, "no connection was lost")
            // A user who may not ask.
            try await bus.redis.send("ACL", "SETUSER", "default", "-info")
            let reply = try await bus.bus.send(Heartbeat(session: 1, number: 2))
            #expect(reply.history == nil && reply.milliseconds > 0)
        }
    }

    @Test("a heartbeat is heard after what was published before it")
    func fifo() async throws {
        try await withBus { bus, server in
            for number in 1...50 as ClosedRange<UInt64> {
                try await bus.bus.publish([.control])
                _ = try await bus.bus.send(Heartbeat(session: 1, number: number))
            }
            try await eventually("all is heard") { bus.heartbeats.count == 50 }
            let expected = (1...50).flatMap { number -> [BusEvent] in
                [.message(.control), .heartbeat(Heartbeat(session: 1, number: number))]
            }
            #expect(bus.heard.dropFirst() == expected[...])
        }
    }

    @Test("a heartbeat that cannot be read renews nothing and ends nothing")
    func unreadableHeartbeat() async throws {
        try await withBus { bus, server in
            for payload in ["", "x", "1:", ":1", "1:2:3", "-1:2"] {
                try await bus.redis.send("PUBLISH", "vireo:heartbeat:n1", payload)
            }
            try await bus.bus.publish([.control])
            try await eventually("the message behind them is heard") { bus.messages == [.control] }
            #expect(bus.heartbeats.isEmpty)
            #expect(bus.sessions.count == 1)
        }
    }

    @Test("when Redis dies the session ends, and a new one begins when it is back")
    func death() async throws {
        try await withBus { bus, server in
            let first = bus.sessions[0]
            try await server.kill()
            try await eventually("the session has ended") { bus.heard.last == .ended(session: first) }
            await #expect(throws: SharedCacheError.unavailable) { try await bus.bus.publish([.control]) }
            await #expect(throws: SharedCacheError.unavailable) {
                try await bus.bus.send(Heartbeat(session: first, number: 1))
            }
            try await server.restart(empty: true)
            try await eventually("a new session") { bus.sessions.count == 2 }
            #expect(bus.sessions[1] > first)
            try await bus.redis.client.waitUntilReady(timeout: .seconds(30))
            try await bus.bus.publish([.control])
            try await eventually("the next message is heard") { bus.messages == [.control] }
        }
    }

    @Test("what is published over a connection that is gone is not published")
    func boundToConnection() async throws {
        try await withBus { bus, server in
            let (_, connection) = try await bus.redis.cache.relayed()
            try await bus.bus.publish([.control], on: connection)
            let killed = try await bus.redis.send("CLIENT", "ID").integer()
            try await withRedis(on: server) { killer in
                _ = try await killer.send("CLIENT", "KILL", "ID", String(killed))
            }
            try await eventually("another connection") {
                bus.redis.client.session.map { $0 != connection } ?? false
            }
            await #expect(throws: SharedCacheError.connectionChanged) {
                try await bus.bus.publish(Self.invalidations(1, bus.redis), on: connection)
            }
            try await bus.bus.publish([.control])
            try await eventually("both control messages are heard") { bus.messages == [.control, .control] }
        }
    }

    @Test("a session can be restarted by its owner")
    func restart() async throws {
        try await withBus { bus, server in
            bus.bus.restartSession()
            try await eventually("a new session") { bus.sessions.count == 2 }
            #expect(
                bus.heard.prefix(3) == [
                    .began(session: bus.sessions[0]), .ended(session: bus.sessions[0]),
                    .began(session: bus.sessions[1]),
                ]
            )
        }
    }
}

/// One node on the bus, and what it has heard.
struct BusSubject: Sendable {
    let redis: RedisSubject
    let bus: RedisInvalidationBus
    let log: EventLog<BusEvent>

    var heard: [BusEvent] { self.log.all }
    var messages: [BusMessage] { self.heard.compactMap { if case .message(let message) = $0 { message } else { nil } } }
    var heartbeats: [Heartbeat] { self.heard.compactMap { if case .heartbeat(let beat) = $0 { beat } else { nil } } }
    var sessions: [UInt64] { self.heard.compactMap { if case .began(let session) = $0 { session } else { nil } } }
}

/// A node's ear on the bus, which does not run yet.
func makeBus(
    on server: LocalRedisServer,
    _ redis: RedisSubject
) -> (bus: RedisInvalidationBus, subscription: RedisSubscription) {
    let subscription = RedisSubscription(
        configuration: server.configuration(),
        channels: [RedisNamespace.busChannel, redis.namespace.heartbeatChannel],
        logger: .silent
    )
    let bus = RedisInvalidationBus(
        client: redis.client,
        subscription: subscription,
        namespace: redis.namespace,
        log: .silent
    )
    return (bus, subscription)
}

/// Runs the body with a node whose first session has begun, on a Redis of its own unless one is given.
func withBus(
    on given: LocalRedisServer? = nil,
    node: String = "n1",
    _ body: (BusSubject, LocalRedisServer) async throws -> Void
) async throws {
    guard let server = given else {
        try await withOwnRedisServer { try await withBus(on: $0, node: node, body) }
        return
    }
    try await withRedis(on: server, node: node) { redis in
        let (bus, subscription) = makeBus(on: server, redis)
        let subject = BusSubject(redis: redis, bus: bus, log: EventLog())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await subscription.run() }
            group.addTask { await bus.listen { subject.log.append($0) } }
            try await eventually("the first session") { !subject.sessions.isEmpty }
            try await body(subject, server)
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
