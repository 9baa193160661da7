import Foundation
import Testing

/// The fast lane on real nodes: what it answers is what the routes answer, and what is taken back is taken back there too.
@Suite("Fast lane of a fleet", .serialized)
struct FastLaneFleetTests {
    @Test("both lanes give the same answer from the same entry, and both are counted")
    func equality() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            var users: [String] = []
            for number in 1...300 where users.count < 3 {
                let user = "u" + String(format: "%06d", number)
                if try await fleet.slate(0, user: user).fallback == nil { users.append(user) }
            }
            #expect(users.count == 3)
            for user in users {
                for query in ["?limit=20", "?limit=5&explain=full", "?surface=email&explain=none"] {
                    let target = "/v1/recommendations/\(user)\(query)"
                    _ = try await fleet.app(0).get(target)
                    try await eventually("L1 has \(user)", within: 5) {
                        try await fleet.app(0).get(target).headers["x-vireo-cache"] == "l1"
                    }
                    let fast = try await fleet.app(0).send("GET", target, closes: false)
                    let slow = try await fleet.app(0).send("GET", target, closes: true)
                    #expect(fast.headers["connection"] == nil)
                    #expect(slow.headers["connection"] == "close")
                    #expect(Self.lasting(fast.body) == Self.lasting(slow.body))
                    for (name, value) in slow.headers
                    where !["connection", "date", "server-timing", "x-request-id", "content-length", "age"].contains(
                        name
                    ) {
                        #expect(fast.headers[name] == value, "\(name)")
                    }
                    #expect(Set(fast.headers.keys).union(["connection"]) == Set(slow.headers.keys))
                    #expect(fast.headers["content-length"] == "\(fast.body.utf8.count)")
                }
            }
            let before = try await Self.counts(fleet)
            for _ in 0..<10 { _ = try await fleet.app(0).get("/v1/recommendations/\(users[0])?limit=20") }
            let after = try await Self.counts(fleet)
            #expect(before.count == 4)
            for (name, count) in after { #expect(count == (before[name] ?? 0) + 10, "\(name)") }
        }
    }

    /// Without what is new in every answer.
    private static func lasting(_ body: String) -> String {
        var body = body
        for pattern in [
            #""recommendation_id":"[^"]*""#, #""generated_at":"[^"]*""#, #""tracking_token":"[^"]*""#,
            #""age_ms":[0-9]*"#,
        ] {
            body = body.replacingOccurrences(of: pattern, with: "", options: .regularExpression)
        }
        return body
    }

    private static func counts(_ fleet: Fleet) async throws -> [String: Int] {
        let exposition = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
        var counts: [String: Int] = [:]
        for line in exposition.split(separator: "\n") {
            for name in [
                #"vireo_recommendations_total{tier="l1"}"#, #"vireo_cache_hits_total{cache="pool",tier="l1"}"#,
                #"vireo_http_requests_total{method="GET",route="/v1/recommendations/{user_id}",status="200"}"#,
                #"vireo_http_request_seconds_count{route="/v1/recommendations/{user_id}"}"#,
            ] where line.hasPrefix(name) {
                counts[name] = Int(line.dropFirst(name.count + 1))
            }
        }
        return counts
    }

    @Test("a revoked key is refused, and a denied item is gone, within the bound")
    func takenBack() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            // One of whom the start of a fleet knows that L1 holds the list.
            let user = "u000300"
            let target = "/v1/recommendations/\(user)?limit=20"
            let key = try await Vireo.succeed(["keys", "create", "--scopes", "read"], fleet.environment)
            let reader = RawHTTP(port: fleet.nodes[0].port, key: key)
            try await eventually("the new key is known", within: 5) { try await reader.get(target).status == 200 }
            try await eventually("L1 has the user", within: 5) {
                try await reader.get(target).headers["x-vireo-cache"] == "l1"
            }
            let before = try await fleet.slate(0, user: user)
            let item = try #require(before.ids.first)
            let denied = try await fleet.admin(0).post(
                "/v1/admin/tombstones",
                #"{"kind":"item","ids":["\#(item)"],"reason":"legal","expires_at":null}"#
            )
            #expect(denied.status == 200)
            let slate = try await reader.get(target)
            #expect(!slate.body.contains(#""item_id":"\#(item)""#))
            #expect(slate.headers["x-vireo-cache"] == "l1")

            let listed = try await Vireo.succeed(["keys", "list"], fleet.environment)
            let keys = listed.split(separator: "\n").map { $0.split(separator: "\t") }
            let id = try #require(keys.first(where: { $0.count > 2 && $0[2] == "read" })?.first)
            try await Vireo.succeed(["keys", "revoke", String(id)], fleet.environment)
            try await eventually("the key is refused", within: 4) { try await reader.get(target).status == 401 }
            for _ in 0..<20 { #expect(try await reader.get(target).status == 401) }
        }
    }
}
