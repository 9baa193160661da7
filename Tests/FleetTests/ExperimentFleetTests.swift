import Foundation
import Testing

/// An experiment on two nodes as a stranger sees it, from its start to its verdict.
@Suite("Experiments of a fleet", .serialized)
struct ExperimentFleetTests {
    private static let users = (1...80).map { "u" + String(format: "%06d", $0) }
    private static let path = "/v1/admin/experiments"

    private struct List: Decodable {
        struct Variant: Decodable, Equatable {
            let id: String
            let variant: String
        }

        let recommendation_id: String
        let items: [Slate.Place]
        let policy_version: String
        let experiments: [Variant]
    }

    private struct Results: Decodable {
        struct Variant: Decodable {
            let name: String
            let exposures: Int
            let conversions: Int
            let rate: Double?
            let p_best: Double
        }

        let variants: [Variant]
        let required_per_variant: Int
        let srm_p: Double?
        let verdict: String
    }

    private static func list(_ fleet: Fleet, _ node: Int, _ user: String, _ query: String = "") async throws -> List {
        let response = try await fleet.app(node).get("/v1/recommendations/\(user)?limit=5\(query)")
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: List.self)
    }

    /// The variant of each user, which is the same on every node, from every tier, and served as it should be.
    private static func variants(_ fleet: Fleet, policies: [String: String]) async throws -> [String: String] {
        var variants: [String: String] = [:]
        for user in Self.users {
            // Computed or from L2, then from L1, by either node; with a filter; by a page.
            for (node, query) in [(0, ""), (0, ""), (1, ""), (1, ""), (1, "&exclude=i000001"), (0, "&cursor=*")] {
                let list = try await Self.list(fleet, node, user, query)
                let variant = try #require(list.experiments.first)
                #expect(list.experiments.count == 1 && variant.id == "e1")
                #expect(variants[user] == nil || variants[user] == variant.variant, "\(user) \(node) \(query)")
                #expect(list.policy_version == policies[variant.variant])
                variants[user] = variant.variant
            }
        }
        return variants
    }

    private static func tell(_ fleet: Fleet, _ user: String, clicks: Bool) async throws {
        let list = try await Self.list(fleet, 0, user)
        let shown = list.items.prefix(2).map {
            #"{"item_id":"\#($0.item_id)","tracking_token":"\#($0.tracking_token)"}"#
        }
        let body = #"{"recommendation_id":"\#(list.recommendation_id)","items":[\#(shown.joined(separator: ","))]}"#
        let answer = try await fleet.app(1).post("/v1/impressions", body)
        #expect(answer.status == 200 && answer.body.contains(#""accepted":2"#), "\(answer.body)")
        guard clicks else { return }
        let (item, token) = (list.items[0].item_id, list.items[0].tracking_token)
        let event = #"{"user_id":"\#(user)","item_id":"\#(item)","type":"click","tracking_token":"\#(token)"}"#
        #expect(try await fleet.app(1).post("/v1/feedback", event).status == 200)
    }

    @Test("users stay in their variant on every node and path, what they do is counted for it, and it ends everywhere")
    func whole() async throws {
        try await Fleet.with { fleet in
            let document = #"{"weights":{"collaborative":0,"content":0,"popularity":1},"seen_filter":false}"#
            #expect(try await fleet.admin(0).send("PUT", "/v1/admin/policies/p8", body: document).status < 300)
            let order =
                #"{"id":"e1","surface":"home","variants":[{"name":"a","weight":50},{"name":"b","weight":40,"policy":"p8"}],"#
                + #""metric":"ctr","baseline":0.05,"mde":0.1}"#
            let started = try await fleet.admin(0).post("\(Self.path)?wait=all", order)
            #expect(started.status == 201 && started.body.contains(#""required_per_variant":31235"#), "\(started.body)")
            #expect(started.body.contains(#""complete":true"#))
            #expect(try await fleet.admin(1).post(Self.path, order).status == 409)
            // A tenth is in none.
            var variants: [String: String] = [:]
            var none = 0
            for user in Self.users {
                let lists = [try await Self.list(fleet, 0, user), try await Self.list(fleet, 1, user)]
                #expect(lists[0].experiments == lists[1].experiments)
                if lists[0].experiments.isEmpty { none += 1 }
                variants[user] = lists[0].experiments.first?.variant
            }
            #expect((1...20).contains(none), "\(none)")
            let early = try await fleet.admin(1).get("\(Self.path)/e1/results").json(as: Results.self)
            #expect(early.srm_p == 1 && early.variants.allSatisfy { $0.exposures == 0 })
            // They get a variant of their own, and nobody else moves.
            let more =
                #"{"variants":[{"name":"a","weight":50},{"name":"b","weight":40,"policy":"p8"},{"name":"c","weight":10}]}"#
            let changed = try await fleet.admin(1).send("PUT", "\(Self.path)/e1/variants?wait=all", body: more)
            #expect(changed.status == 200, "\(changed.body)")
            let all = try await Self.variants(fleet, policies: ["a": "p0", "b": "p8", "c": "p0"])
            for user in Self.users { #expect(all[user] == variants[user] ?? "c") }
            // What is told is counted for the variant; a second telling changes nothing.
            for user in Self.users {
                for _ in 0..<2 { try await Self.tell(fleet, user, clicks: all[user] == "b") }
            }
            let response = try await fleet.admin(0).get("\(Self.path)/e1/results")
            let results = try response.json(as: Results.self)
            #expect(results.variants.map(\.name) == ["a", "b", "c"])
            for variant in results.variants {
                let users = all.values.count { $0 == variant.name }
                #expect(variant.exposures == users, "\(response.body)")
                #expect(variant.conversions == (variant.name == "b" ? users : 0), "\(response.body)")
            }
            #expect(results.verdict == "insufficient" && results.required_per_variant == 31_235)
            // The third variant alone was given new users: counts say nothing of whether any are missing.
            #expect(results.variants[1].p_best > 0.99 && results.srm_p == nil)
            // Its end: at once, after a call that waited for all.
            let stopped = try await fleet.admin(1).post("\(Self.path)/e1:stop?wait=all", "{}")
            #expect(stopped.status == 200 && stopped.body.contains(#""state":"stopped""#), "\(stopped.body)")
            for node in 0...1 {
                for user in Self.users.prefix(20) {
                    let list = try await Self.list(fleet, node, user)
                    #expect(list.experiments.isEmpty && list.policy_version == "p0")
                }
            }
        }
    }

    @Test("with Thompson sampling users go to the variant that does better, on every node, and the other keeps some")
    func thompson() async throws {
        try await Fleet.with(settings: ["VIREO_EXPERIMENT_INTERVAL_S": "5"]) { fleet in
            let order =
                #"{"id":"e1","variants":[{"name":"a","weight":50},{"name":"b","weight":50}],"allocation":"thompson"}"#
            #expect(try await fleet.admin(0).post("\(Self.path)?wait=all", order).status == 201)
            func takers() async throws -> [String: Int] {
                var takers: [String: Int] = [:]
                for user in Self.users {
                    let lists = [try await Self.list(fleet, 0, user), try await Self.list(fleet, 1, user)]
                    guard lists[0].experiments == lists[1].experiments else { return [:] }
                    takers[lists[0].experiments.first?.variant ?? "", default: 0] += 1
                }
                return takers
            }
            let before = try await takers()
            #expect((before["a"] ?? 0) > 20 && (before["b"] ?? 0) > 20, "\(before)")
            for user in Self.users {
                let isB = try await Self.list(fleet, 0, user).experiments.first?.variant == "b"
                try await Self.tell(fleet, user, clicks: isB)
            }
            try await eventually("most users have b", within: 30) {
                let takers = try await takers()
                return (takers["b"] ?? 0) > 70 && (takers["a"] ?? 0) + (takers["b"] ?? 0) == Self.users.count
            }
            let experiment = try await fleet.admin(1).get("\(Self.path)/e1").body
            #expect(
                experiment.contains(#""allocation":"thompson""#) && !experiment.contains(#""weight":0,"#),
                "\(experiment)"
            )
        }
    }
}
