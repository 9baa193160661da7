import LocalServers
import Logging
import RecommendationCore
import Redis
import Serving
import Testing

@testable import RedisAdapters

@Suite("Limits of keys in Redis")
struct RateTokensTests {
    private static func limit(_ key: String, rate: Int, burst: Int) throws -> KeyLimit {
        KeyLimit(key: key, limit: try #require(RateLimit(rate: rate, burst: burst)))
    }

    @Test("a burst at once and then nothing, the time until there is one, and each key for itself")
    func draws() async throws {
        try await withRedis { redis in
            let tokens = RedisRateTokens(client: redis.client, namespace: redis.namespace)
            let limit = try Self.limit("a b{}:*", rate: 2, burst: 10)
            let start = try await redis.now()
            let first = try await tokens.draw(7, of: limit)
            #expect(first.granted == 7 && first.wait == .zero)
            let second = try await tokens.draw(20, of: limit)
            let leaked = try await Int(redis.now() - start) * 2 / 1_000
            #expect(second.granted >= 3 && second.granted <= 3 + min(leaked, 7))
            // Less than one has leaked since, or there would be one more.
            #expect(second.wait > .zero && second.wait <= .milliseconds(500))
            #expect(try await tokens.draw(1, of: try Self.limit("other", rate: 2, burst: 10)).granted == 1)
            try await Task.sleep(for: second.wait)
            #expect(try await tokens.draw(1, of: limit).granted == 1, "who waits so long gets in")
            let name = "vireo:rate:\(redis.incarnation):{_keys/a%20b%7B%7D%3A%2A}"
            let life = try await redis.timeToLive(name)
            #expect(life > 0 && life <= 6_500, "as long as it takes to be empty, and a second")
        }
    }

    @Test("what somebody else has stored under the key is passed over")
    func foreign() async throws {
        try await withRedis { redis in
            let tokens = RedisRateTokens(client: redis.client, namespace: redis.namespace)
            let name = "vireo:rate:\(redis.incarnation):{_keys/k}"
            let limit = try Self.limit("k", rate: 1, burst: 4)
            try await redis.send("SET", name, "x")
            #expect(try await tokens.draw(9, of: limit).granted == 4)
            for (level, at) in [("nan", "1"), ("-5", "-5"), ("x", "y"), ("1e300", "1e300")] {
                try await redis.send("DEL", name)
                try await redis.send("HSET", name, "level", level, "at", at)
                let draw = try await tokens.draw(9, of: limit)
                #expect((0...4).contains(draw.granted) && draw.wait <= .seconds(5), "\(level)")
            }
            // From a server whose clock is an hour ahead: what leaks is by this one's from now on.
            try await redis.send("HSET", name, "level", "4000000", "at", "99999999999999999")
            #expect(try await tokens.draw(1, of: limit).granted == 0)
            try await Task.sleep(for: .milliseconds(1_050))
            #expect(try await tokens.draw(1, of: limit).granted == 1)
        }
    }

    @Test("three nodes with eight clients each let through what the limit and its bound allow, and most of it")
    func fleet() async throws {
        try await withRedis { redis in
            let tokens = RedisRateTokens(client: redis.client, namespace: redis.namespace)
            let limit = try Self.limit("fleet", rate: 300, burst: 150)
            let limiters = (0..<3).map { _ in RateLimiter(tokens: tokens, nodes: { 3 }, log: Logger(label: "test")) }
            let calls = try await withThrowingTaskGroup(of: Void.self) { group in
                for limiter in limiters { group.addTask { await limiter.run() } }
                let end = ContinuousClock.now + .seconds(3)
                let calls = try await withThrowingTaskGroup(of: [Call].self) { clients in
                    for number in 0..<24 {
                        clients.addTask {
                            var calls: [Call] = []
                            let key = limiters[number % 3].key(limit)
                            while ContinuousClock.now < end {
                                let begin = ContinuousClock.now
                                let isAdmitted = await key.take() == nil
                                calls.append(Call(begin: begin, end: .now, isAdmitted: isAdmitted))
                                try await Task.sleep(for: .milliseconds(5))
                            }
                            return calls
                        }
                    }
                    return try await clients.reduce([], +)
                }
                group.cancelAll()
                return calls
            }
            let admitted = calls.filter(\.isAdmitted).sorted { $0.begin < $1.begin }
            for first in stride(from: 0, to: admitted.count, by: 3) {
                var end = admitted[first].end
                for last in first..<admitted.count {
                    end = max(end, admitted[last].end)
                    let seconds = (end - admitted[first].begin) / .seconds(1)
                    let most = 300 * seconds + 150 + 30
                    if Double(last - first + 1) > most { Issue.record("\(last - first + 1) in \(seconds) s") }
                }
            }
            // On a machine that is busy, or stands still, fewer may have come than the limit lets through.
            let start = try #require(calls.map(\.begin).min())
            let tenths = Set(calls.map { Int(($0.begin - start) / .milliseconds(100)) }).count
            let most = min(calls.count, tenths * 30 + 150)
            #expect(3 * admitted.count > 2 * most, "\(admitted.count) of \(most), of \(calls.count) that came")
        }
    }

    private struct Call {
        let begin: ContinuousClock.Instant
        let end: ContinuousClock.Instant
        let isAdmitted: Bool
    }

    @Test("without Redis each node goes by its share, and with it by the fleet's bucket again")
    func outage() async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server, commandTimeout: .milliseconds(100)) { redis in
                let tokens = RedisRateTokens(client: redis.client, namespace: redis.namespace)
                let limit = try Self.limit("k", rate: 10, burst: 8)
                let limiter = RateLimiter(tokens: tokens, nodes: { 4 }, log: Logger(label: "test"))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await limiter.run() }
                    let key = limiter.key(limit)
                    #expect(await key.take() == nil)
                    try server.pause()
                    let start = ContinuousClock.now
                    var (taken, waited) = (0, 0)
                    for _ in 0..<20 {
                        let begin = ContinuousClock.now
                        if await key.take() == nil { taken += 1 }
                        if ContinuousClock.now - begin > .milliseconds(90) { waited += 1 }
                    }
                    #expect(waited < 5, "\(waited) calls waited for a Redis that does not answer")
                    let most = 2 + 2.5 * ((ContinuousClock.now - start) / .seconds(1))
                    #expect(taken >= 2 && Double(taken) <= most, "\(taken): two at once, and 2.5 a second")
                    try server.resume()
                    var whole = 0
                    for _ in 0..<60 {
                        if await key.take() == nil { whole += 1 }
                        try await Task.sleep(for: .milliseconds(50))
                    }
                    #expect(whole > 12, "\(whole): eight at once, and ten a second")
                    group.cancelAll()
                }
            }
        }
    }
}
