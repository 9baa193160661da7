import LocalServers
import Testing

@testable import Redis

@Suite("The breaker of connections")
struct ConnectionBreakerTests {
    enum Event {
        /// After so many milliseconds a connection is ready, is lost by a time-out, or by something else.
        case ready(Int), timeout(Int), loss(Int)
    }

    @Test(
        "opens when connections end by time-outs in a row, asks for more each time, and closes when one has served",
        arguments: [
            ([], 0, false), ([.ready(0)], 0, false), ([.ready(0), .timeout(100)], 0, false),
            // Two in a row.
            ([.ready(0), .timeout(100), .ready(50), .timeout(100)], 1, true),
            ([.ready(0), .timeout(100), .ready(50), .timeout(100), .ready(50)], 1, false),
            ([.ready(0), .timeout(100), .ready(50), .timeout(100), .ready(50), .timeout(100)], 2, true),
            // Other losses say nothing of how quick the server is.
            ([.ready(0), .timeout(100), .ready(50), .loss(100)], 0, false),
            ([.ready(0), .timeout(100), .ready(50), .loss(100), .ready(50), .timeout(100)], 1, true),
            // Whoever has served for a second ends the row.
            ([.ready(0), .timeout(5_000)], 0, false),
            ([.ready(0), .timeout(5_000), .ready(50), .timeout(999)], 1, true),
            ([.ready(0), .timeout(100), .ready(50), .timeout(1_000)], 0, false),
            ([.ready(0), .timeout(100), .ready(50), .timeout(100), .ready(50), .timeout(1_000)], 0, false),
            ([.ready(0), .timeout(100), .ready(50), .timeout(100), .ready(50), .loss(1_000)], 0, false),
        ] as [([Event], Int, Bool)]
    )
    func table(events: [Event], probes: Int, isOpen: Bool) {
        var breaker = ConnectionBreaker()
        var now = ContinuousClock.now
        for event in events {
            switch event {
            case .ready(let pause):
                now += .milliseconds(pause)
                breaker.connected(at: now)
            case .timeout(let pause):
                now += .milliseconds(pause)
                breaker.lost(byTimeout: true, at: now)
            case .loss(let pause):
                now += .milliseconds(pause)
                breaker.lost(byTimeout: false, at: now)
            }
        }
        #expect(breaker.probes == probes)
        #expect(breaker.isOpen == isOpen)
    }

    @Test("what it asks for is bounded")
    func bound() {
        var breaker = ConnectionBreaker()
        let now = ContinuousClock.now
        for _ in 0..<100 { breaker.lost(byTimeout: true, at: now) }
        #expect(breaker.probes == 16)
    }

    @Test("a server that limps: a connection owes answers before anybody may use it, and is used then")
    func limping() async throws {
        try await withServer { server in
            let events = EventLog<RedisConnectionEvent>()
            try await withClient(server.configuration(), events: events) { observer in
                func pings() async throws -> Int {
                    let text = try await observer.send(RedisCommand("INFO", "commandstats")).string() ?? ""
                    let line = text.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_ping:") }
                    return line.flatMap { Int($0.dropFirst("cmdstat_ping:calls=".count).prefix { $0 != "," }) } ?? 0
                }
                var configuration = server.configuration(commandTimeout: .milliseconds(200))
                configuration.clientName = "limping"
                try await withClient(configuration) { client in
                    var probes: [Int] = []
                    for _ in 0..<4 {
                        let before = try await pings()
                        // It is quick to answer PING, and not this.
                        await #expect(throws: RedisError.timeout) {
                            try await client.send(RedisCommand("BLPOP", "nothing", "30"))
                        }
                        #expect(client.session == nil)
                        await #expect(throws: RedisError.notConnected) {
                            try await client.send(RedisCommand("GET", "k"))
                        }
                        try await client.waitUntilReady(timeout: .seconds(30))
                        probes.append(try await pings() - before - 1)
                    }
                    // On a slow machine one of them may have been used for a second, and the row begins anew.
                    #expect(probes[0] == 0)
                    #expect(probes.contains { $0 > 0 }, "\(probes)")
                    #expect(try await client.send(RedisCommand("ECHO", "x")).string() == "x")
                }
            }
        }
    }
}
