import LocalServers
import Logging
import Redis
import Testing

@Suite("A Redis subscription")
struct RedisSubscriptionTests {
    @Test("begins, delivers in order, ends with the connection and begins again with a new session")
    func lifeCycle() async throws {
        try await withServer { server in
            let ends = EventLog<UInt64>()
            let subscription = RedisSubscription(
                configuration: server.configuration(),
                channels: ["a", "b", "a"],
                logger: .silent
            ) { session, _ in ends.append(session) }
            #expect(subscription.channels == ["a", "b"])
            try await withSubscription(subscription) { events in
                let first = try #require(await events.next()?.beganSession)
                #expect(subscription.currentSession == first)
                try await withClient(server.configuration()) { client in
                    for number in 0..<50 {
                        let channel = number.isMultiple(of: 2) ? "a" : "b"
                        let receivers = try await client.send(RedisCommand("PUBLISH", channel, "\(number)")).integer()
                        #expect(receivers == 1)
                    }
                }
                for number in 0..<50 {
                    let channel: [UInt8] = number.isMultiple(of: 2) ? [97] : [98]
                    let expected = RedisSubscriptionEvent.message(
                        channel: channel,
                        payload: Array("\(number)".utf8),
                        session: first
                    )
                    #expect(await events.next() == expected)
                }

                try await server.kill()
                // At once, though nobody has taken `ended` yet.
                try await eventually { ends.all == [first] }
                #expect(subscription.currentSession == nil)
                #expect(await events.next()?.endedSession == first)
                try await server.restart(empty: true)
                let second = try #require(await events.next()?.beganSession)
                #expect(second > first)

                subscription.reset(reason: "no heartbeat")
                #expect(subscription.currentSession == nil)
                #expect(ends.all == [first, second])
                #expect(await events.next() == .ended(session: second, reason: .reset("no heartbeat")))
                #expect(try #require(await events.next()?.beganSession) > second)
            }
            #expect(subscription.currentSession == nil)
        }
    }

    @Test("an overflow ends the session after the messages that fit, and a new one begins when they are taken")
    func overflow() async throws {
        try await withServer { server in
            let subscription = RedisSubscription(
                configuration: server.configuration(),
                channels: ["a"],
                bufferLimit: RedisSubscriptionBufferLimit(messages: 10, bytes: 1_000_000),
                logger: .silent
            )
            try await withSubscription(subscription) { events in
                let first = try #require(await events.next()?.beganSession)
                try await withClient(server.configuration()) { client in
                    _ = try await client.pipeline((0..<100).map { RedisCommand("PUBLISH", "a", "\($0)") })
                    try await eventually { subscription.currentSession == nil }
                    for number in 0..<10 {
                        let payload = Array("\(number)".utf8)
                        #expect(await events.next() == .message(channel: [97], payload: payload, session: first))
                    }
                    #expect(await events.next() == .ended(session: first, reason: .bufferOverflow))
                    let second = try #require(await events.next()?.beganSession)
                    #expect(try await client.send(RedisCommand("PUBLISH", "a", "x")).integer() == 1)
                    #expect(await events.next() == .message(channel: [97], payload: [120], session: second))
                }
            }
        }
    }

    @Test("does not begin with a wrong password, whose text appears nowhere, and begins with the right one")
    func authentication() async throws {
        try await withServer(password: "correct horse") { server in
            let lines = EventLog<String>()
            var configuration = server.configuration()
            configuration.password = "battery-staple"
            let refused = RedisSubscription(
                configuration: configuration,
                channels: ["a"],
                logger: Logger(label: "test") { _ in TextLogHandler(lines: lines) }
            )
            try await withSubscription(refused) { _ in
                try await eventually { lines.all.contains { $0.contains("WRONGPASS") } }
                #expect(refused.currentSession == nil)
            }
            #expect(!lines.all.joined().contains("battery-staple"))

            configuration.password = "correct horse"
            let accepted = RedisSubscription(configuration: configuration, channels: ["a"], logger: .silent)
            try await withSubscription(accepted) { events in
                #expect(await events.next()?.beganSession != nil)
            }
        }
    }

    @Test("a server that does not answer is given up after the connect timeout, without an event")
    func silentServer() async throws {
        try await withServer { server in
            let lines = EventLog<String>()
            try server.pause()
            let subscription = RedisSubscription(
                configuration: server.configuration(),
                channels: ["a"],
                logger: Logger(label: "test") { _ in TextLogHandler(lines: lines) }
            )
            try await withSubscription(subscription) { events in
                try await eventually { lines.all.contains { $0.contains("handshakeTimeout") } }
                try server.resume()
                #expect(await events.next()?.beganSession != nil)
            }
        }
    }

    @Test("ends its events when its run ends, after the last ended")
    func end() async throws {
        try await withServer { server in
            let subscription = RedisSubscription(
                configuration: server.configuration(),
                channels: ["a"],
                logger: .silent
            )
            let first = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await subscription.run() }
                var events = subscription.events.makeAsyncIterator()
                let first = await events.next()?.beganSession
                group.cancelAll()
                try await group.waitForAll()
                return first
            }
            var rest: [RedisSubscriptionEvent] = []
            for await event in subscription.events { rest.append(event) }
            #expect(rest == [.ended(session: try #require(first), reason: .shutdown)])
            await #expect(throws: RedisError.alreadyRunning) { try await subscription.run() }
        }
    }
}

extension RedisSubscriptionEvent {
    fileprivate var beganSession: UInt64? {
        if case .began(let session) = self { session } else { nil }
    }

    fileprivate var endedSession: UInt64? {
        if case .ended(let session, _) = self { session } else { nil }
    }
}
