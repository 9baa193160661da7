import HTTPTypes
import Logging
import RecommendationCore
import Synchronization
import Testing

@testable import HTTPAPI
@testable import Serving

@Suite("Limits of keys")
struct RateLimitTests {
    /// As many tokens of each key as it has at once, and no more.
    private final class Tokens: RateTokens {
        private let drawn = Mutex<[String: Int]>([:])

        var keys: Set<String> { Set(self.drawn.withLock { $0.keys }) }

        func draw(_ wanted: Int, of limit: KeyLimit) async throws(RepositoryError) -> RateDraw {
            self.drawn.withLock { drawn in
                let granted = min(wanted, limit.limit.burst - drawn[limit.key, default: 0])
                drawn[limit.key, default: 0] += granted
                let isEmpty = drawn[limit.key] == limit.limit.burst
                return RateDraw(granted: granted, wait: isEmpty ? .milliseconds(2_900) : .zero)
            }
        }
    }

    private static func principal(_ key: String, rate: Int = 1, burst: Int?) -> Principal {
        let limit = burst.flatMap { RateLimit(rate: rate, burst: $0) }
        return Principal(
            tenant: .acme,
            scopes: [.read, .write],
            limit: limit.map { KeyLimit(key: key, limit: $0) }
        )
    }

    private static let keys: [String: Principal] = [
        "one": principal("k1", burst: 3), "two": principal("k2", burst: 3), "free": principal("k3", burst: nil),
        "wide": principal("k4", rate: 100, burst: 20),
    ]

    /// Servers beside a limiter that runs.
    private func withLimits<Value: Sendable>(
        _ useCases: UseCases,
        _ tokens: Tokens,
        _ body: @escaping @Sendable (Ports) async throws -> Value
    ) async throws -> Value {
        // At a time that stands still nothing expires, and nobody waits for too long.
        let now = ContinuousClock.now
        let limiter = RateLimiter(tokens: tokens, nodes: { 1 }, log: Logger(label: "test")) { now }
        var limited = useCases
        limited.rates = limiter
        limited.authenticate = { key throws(ServingError) in Self.keys[key] }
        return try await withThrowingTaskGroup(of: Void.self) { [limited] group in
            group.addTask { await limiter.run() }
            let value = try await withServers(limited, authentication: true, body)
            group.cancelAll()
            return value
        }
    }

    private static func get(_ port: Int, _ user: String, key: String) async throws -> Reply {
        try await request(
            port,
            "GET",
            "/v1/recommendations/\(user)",
            headers: [("Authorization", "Bearer \(key)")]
        )
    }

    @Test("a key that was used as often as it may be gets 429 and the time, before its body is read; others do not")
    func routes() async throws {
        let tokens = Tokens()
        let canned = Canned()
        try await self.withLimits(canned.useCases, tokens) { ports in
            for _ in 0..<3 { #expect(try await Self.get(ports.public, "u1", key: "one").status == 200) }
            let refused = try await Self.get(ports.public, "u1", key: "one")
            #expect(refused.status == 429)
            #expect(refused["retry-after"] == "3")
            #expect(refused["content-type"] == "application/problem+json")
            #expect(try refused.json["code"]?.text == "rate_limited")
            #expect(try refused.json["title"]?.text == "Too many requests")
            let early = try await onWire(ports.public) { wire in
                try wire.send(
                    "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer one\r\n"
                        + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
                )
                return try wire.reply()
            }
            #expect(early.status == 429)
            #expect(canned.last.recommendations.count == 3)
            #expect(canned.last.feedback.isEmpty)
            for _ in 0..<3 { #expect(try await Self.get(ports.public, "u1", key: "two").status == 200) }
            for _ in 0..<9 { #expect(try await Self.get(ports.public, "u1", key: "free").status == 200) }
            #expect(tokens.keys == ["k1", "k2"], "by the public part, and none of a key without a limit")
        }
    }

    @Test("the fast lane keeps to the limit, and what it passes on is counted once")
    func lane() async throws {
        let tokens = Tokens()
        let hot = try Hot()
        hot.change(Self.keys)
        try await self.withLimits(hot.useCases(), tokens) { ports in
            // Of each kind: answered at once, by the routes, after a look, and by the routes after a look.
            let statuses = try await onWire(ports.public) { wire in
                try (0..<6).flatMap { _ in try ["u1", "cold1", "l2", "lost"].map { try Self.status(of: $0, wire) } }
            }
            #expect(statuses == [Int](repeating: 200, count: 20) + [429, 429, 429, 429])
            let spent = hot.answered.fast
            #expect(spent >= 3, "the tokens that are held are spent on the event loop")
            for number in 0..<20 {
                #expect(try await Self.get(ports.public, "u\(number)", key: "free").status == 200)
            }
            #expect(hot.answered.fast == spent + 20, "a key without a limit stays on the event loop")
        }
    }

    @Test("who is kept out on the event loop hears what the routes say", arguments: ["GET", "HEAD"])
    func laneRefusal(_ method: String) async throws {
        var heads: [String] = []
        var bodies: [String] = []
        for isFast in [true, false] {
            let hot = try Hot()
            hot.change(Self.keys)
            let known = try await self.withLimits(hot.useCases(fast: isFast), Tokens()) { ports in
                let refused = try await onWire(ports.public) { wire in
                    for _ in 0..<20 { #expect(try Self.status(of: "u1", wire) == 200) }
                    #expect(try Self.status(of: "u1", wire) == 429)
                    try wire.send(
                        "\(method) /v1/recommendations/u%31?limit=3 HTTP/1.1\r\nHost: x\r\nX-Request-ID: r1\r\n"
                            + "Authorization: Bearer wide\r\n\r\n"
                    )
                    let refused = try wire.reply(hasBody: method == "GET")
                    // The connection goes on.
                    #expect(try Self.status(of: "u1", wire) == 429)
                    return refused
                }
                return refused
            }
            #expect(known.status == 429)
            #expect(hot.answered.fast == 0 || isFast)
            heads.append(
                known.head.split(separator: "\r\n").filter { !$0.hasPrefix("Date:") }.joined(separator: "\n")
            )
            bodies.append(known.text)
        }
        #expect(heads[0] == heads[1])
        #expect(bodies[0] == bodies[1])
    }

    private static func status(of user: String, _ wire: Wire) throws -> Int {
        try wire.send("GET /v1/recommendations/\(user) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wide\r\n\r\n")
        return try wire.reply().status
    }

    @Test("an hour is 3600 s, and no time at all is one")
    func seconds() throws {
        let limit = try #require(RateLimit(rate: 2, burst: 4))
        func header(_ time: Duration) -> String? { Problem.rateLimited(limit, after: time).headers[.retryAfter] }
        #expect(header(.zero) == "1")
        #expect(header(.milliseconds(1_000)) == "1")
        #expect(header(.milliseconds(1_001)) == "2")
        #expect(header(.seconds(3_600)) == "3600")
    }
}
