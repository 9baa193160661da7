import Foundation
import Testing

/// What a shared cache between callers and nodes may do to them.
@Suite("Fleet behind a caching nginx", .serialized)
struct CachingProxyTests {
    private static let url = "/v1/lists/latest?limit=5&tokens=none"

    @Test("two tenants asking the same URL never see each other's, and a tombstone is seen within its bound")
    func lists() async throws {
        try await Fleet.with { fleet in
            let otherKey = try await fleet.otherTenant(items: 50)
            try await CachingProxy.with(fleet) { proxy in
                func ask(_ port: Int, _ key: String) async throws -> ListAnswer {
                    try await RawHTTP(port: port, key: key).list(Self.url)
                }
                var states: [Int: Set<String>] = [:]
                let kept: Set = ["MISS", "HIT", "REVALIDATED"]
                // Validators change while the first models are built, and nginx asks again every two seconds only: forty
                // rounds, and as many more until it was told once that nothing had changed.
                for round in 0..<300 where round < 40 || states[proxy.stubborn]?.isSuperset(of: kept) != true {
                    for port in [proxy.believing, proxy.stubborn] {
                        for (key, newest) in [(fleet.keys.app, "i000200"), (otherKey, "i000050")] {
                            let answer = try await ask(port, key)
                            #expect(answer.ids.first == newest, "of its own tenant, in round \(round)")
                            states[port, default: []].insert(answer.headers["x-cache"] ?? "none")
                        }
                        // Who has no key has no list, however well known it is to the cache.
                        #expect(try await RawHTTP(port: port).get(Self.url).status == 401)
                    }
                    try await Task.sleep(for: .milliseconds(100))
                }
                // The one cache really keeps, and really asks again; the other heeds `no-cache`, which nginx takes for "never".
                #expect(states[proxy.stubborn]?.isSuperset(of: kept) == true, "\(states)")
                #expect(states[proxy.believing] == ["MISS"], "\(states)")

                try await fleet.tombstone("i000200")
                let acknowledged = ContinuousClock.now
                var seen: [Int: Duration] = [:]
                while ContinuousClock.now - acknowledged < .seconds(5) {
                    // The second that a cache of its own adds is counted in whole seconds by nginx: up to two.
                    for (port, bound) in [(proxy.believing, Duration.seconds(1)), (proxy.stubborn, .seconds(3))] {
                        let begun = ContinuousClock.now - acknowledged
                        let isShown = try await ask(port, fleet.keys.app).ids.contains("i000200")
                        if begun >= bound { #expect(!isShown, "begun \(begun) after the acknowledgement") }
                        if !isShown, seen[port] == nil { seen[port] = begun }
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(seen.count == 2)
                #expect(try await ask(proxy.stubborn, otherKey).ids.first == "i000050")
            }
        }
    }

    @Test("what is one user's is kept by nobody")
    func personal() async throws {
        try await Fleet.with { fleet in
            try await CachingProxy.with(fleet) { proxy in
                let caller = RawHTTP(port: proxy.believing, key: fleet.keys.app)
                for target in [
                    "/v1/recommendations/u000001", "/v1/lists/popular", "/v1/lists/popular?tokens=none&user_id=u000001",
                    "/v1/items/i000001/similar",
                ] {
                    for _ in 0..<3 {
                        let response = try await caller.get(target)
                        #expect(response.status == 200)
                        #expect(response.headers["x-cache"] == "MISS", "\(target)")
                        #expect(response.headers["cache-control"] == "private, no-store")
                    }
                }
            }
        }
    }
}
