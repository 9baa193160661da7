import Foundation
import LocalServers
import Synchronization
import Testing

/// Policies on two nodes as a stranger sees them.
@Suite("Policies of a fleet", .serialized)
struct PolicyFleetTests {
    /// Lists as they were first seen, by policy, model and user: an answer that mixes two policies is another list.
    private final class Seen: Sendable {
        private let lists = Mutex<[String: [String]]>([:])

        /// Whether a list is the one that was seen before, if there was one.
        func agrees(_ slate: Slate, policy: String, user: String) -> Bool {
            self.lists.withLock { lists in
                let name = "\(policy) \(slate.model_version) \(user)"
                let known = lists[name] ?? slate.ids
                lists[name] = known
                return known == slate.ids
            }
        }
    }

    /// The policy that must be served by, and since when that was acknowledged; nil while it is switched.
    private final class InForce: Sendable {
        struct Policy: Equatable {
            let version: String
            let since: ContinuousClock.Instant
        }

        private let policy = Mutex<Policy?>(nil)
        var now: Policy? { self.policy.withLock { $0 } }
        func set(_ policy: Policy?) { self.policy.withLock { $0 = policy } }
    }

    private static let users = (1...40).map { "u" + String(format: "%06d", $0) }
    private static let policies = "/v1/admin/policies"

    private static func put(_ version: String, _ document: String, _ fleet: Fleet) async throws {
        let response = try await fleet.admin(0).send("PUT", "\(Self.policies)/\(version)", body: document)
        #expect(response.status == 200, "\(response.body)")
    }

    /// Activates or rolls back, and says when that was acknowledged.
    private static func change(_ action: String, on node: Int, _ fleet: Fleet) async throws -> ContinuousClock.Instant {
        let response = try await fleet.admin(node).post("\(Self.policies)/\(action)", "{}")
        #expect(response.status == 200 && response.body.contains(#""propagated":true"#), "\(response.body)")
        return .now
    }

    @Test("activation and rollback reach every node within the lease, and no answer mixes two policies")
    func activation() async throws {
        try await Fleet.with { fleet in
            try await Self.put("p7", #"{"pool_size":60,"diversity":[]}"#, fleet)
            try await Self.put(
                "p8",
                #"{"weights":{"collaborative":0,"content":0,"popularity":1},"seen_filter":false}"#,
                fleet
            )
            let stop = Flag()
            let seen = Seen()
            let inForce = InForce()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for node in 0...1 {
                    group.addTask {
                        var answers = 0
                        while !stop.isSet, !Task.isCancelled {
                            let user = Self.users[answers % Self.users.count]
                            let expected = inForce.now
                            let begun = ContinuousClock.now
                            let slate = try await fleet.slate(node, user: user)
                            let policy = slate.headers["x-vireo-policy"] ?? ""
                            #expect(slate.policy_version == policy)
                            #expect(seen.agrees(slate, policy: policy, user: user), "\(policy) \(user)")
                            // Judged only where nothing was switched meanwhile.
                            if let expected, inForce.now == expected, begun - expected.since >= .seconds(1) {
                                #expect(policy == expected.version, "begun \(begun - expected.since) after")
                            }
                            answers += 1
                        }
                        return answers
                    }
                }
                group.addTask {
                    defer { stop.set() }
                    let steps = [
                        ("p7:activate", 0, "p7"), ("p8:activate", 1, "p8"), ("p8:rollback", 0, "p7"),
                        ("p0:activate", 1, "p0"), ("p0:rollback", 1, "p7"), ("p7:rollback", 0, "p0"),
                    ]
                    for (action, node, policy) in steps {
                        inForce.set(nil)
                        let acknowledged = try await Self.change(action, on: node, fleet)
                        #expect(
                            try await fleet.slate(node, user: "u000050").policy_version == policy,
                            "at once on the node that took it"
                        )
                        inForce.set(InForce.Policy(version: policy, since: acknowledged))
                        try await eventually("time to judge", within: 5) {
                            ContinuousClock.now - acknowledged > .milliseconds(2_500)
                        }
                    }
                    return 0
                }
                var total = 0
                for try await answers in group { total += answers }
                #expect(total > 100)
            }
        }
    }

    @Test("a canary serves the same part of the users on every node, by every cache, until it is rolled back")
    func canary() async throws {
        try await Fleet.with { fleet in
            try await Self.put("p7", #"{"pool_size":60,"diversity":[]}"#, fleet)
            // The same pools, another final stage: what is cached is shared, and what is served is not.
            let item = try #require(try await fleet.slate(0, user: "u000040").ids.last)
            try await Self.put(
                "p8",
                #"{"pool_size":60,"diversity":[{"field":"creator","max_per_window":1,"window":3}],"# + "\"boosts\":[]}",
                fleet
            )
            // Other pools.
            try await Self.put("p9", #"{"pool_size":60,"pins":[{"item_id":"\#(item)","position":2}]}"#, fleet)
            _ = try await Self.change("p7:activate", on: 0, fleet)
            var before: [String: [String]] = [:]
            for user in Self.users { before[user] = try await fleet.slate(0, user: user).ids }
            for version in ["p8", "p9"] {
                let list = try await fleet.admin(0).get(Self.policies)
                let tag = try #require(list.headers["etag"])
                let changed = try await fleet.admin(0).send(
                    "POST",
                    "\(Self.policies)/\(version):activate?wait=all",
                    headers: [("If-Match", tag)],
                    body: #"{"percent":50}"#
                )
                #expect(changed.status == 200, "\(changed.body)")
                #expect(
                    changed.body.contains(
                        #""active":"p7","previous":"p0","canary":{"version":"\#(version)","percent":50}"#
                    )
                )
                let again = try await fleet.admin(1).send(
                    "POST",
                    "\(Self.policies)/p0:activate",
                    headers: [("If-Match", tag)],
                    body: "{}"
                )
                #expect(again.status == 412, "\(again.body)")
                var inside: Set<String> = []
                for round in 0..<3 {
                    for user in Self.users {
                        for node in 0...1 {
                            let slate = try await fleet.slate(node, user: user)
                            let policy = try #require(slate.headers["x-vireo-policy"])
                            #expect(slate.policy_version == policy && ["p7", version].contains(policy))
                            if round == 0, node == 0, policy == version { inside.insert(user) }
                            #expect((policy == version) == inside.contains(user), "\(user) on \(node)")
                            if policy == "p7" {
                                #expect(slate.ids == before[user], "\(user)")
                            } else if version == "p9" {
                                #expect(
                                    slate.ids.count < 2 || slate.ids[1] == item || !slate.ids.contains(item),
                                    "\(user)"
                                )
                            }
                        }
                    }
                }
                #expect((10...30).contains(inside.count), "\(inside.count)")
            }
            // p9 does not stand beside p8 any more, and whoever rolls that back does nothing.
            let other = try await fleet.admin(1).post("\(Self.policies)/p8:rollback", "{}")
            #expect(other.status == 409, "\(other.body)")
            let back = try await fleet.admin(1).post("\(Self.policies)/p9:rollback?wait=all", "{}")
            #expect(
                back.status == 200 && back.body.contains(#""active":"p7","previous":"p0","canary":null"#),
                "\(back.body)"
            )
            for user in Self.users {
                for node in 0...1 {
                    let slate = try await fleet.slate(node, user: user)
                    #expect(slate.policy_version == "p7" && slate.ids == before[user], "\(user)")
                }
            }
        }
    }

    @Test("what is told of an item or a user decides at once on every node, and a surface goes by its own policy")
    func rules() async throws {
        try await Fleet.with { fleet in
            let user = Self.users[3]
            let before = try await fleet.slate(0, user: user)
            let (rare, near) = (before.ids[0], before.ids[1])
            try await Self.put(
                "p8",
                #"{"diversity":[],"eligibility":{"any":[{"not":{"label":{"name":"rating","any_of":["18"]}}},"#
                    + #"{"all":[{"user_label":{"name":"age","any_of":["adult"]}},{"not":{"request_regions":["XX"]}}]}]},"#
                    + #""surface_overrides":{"email":{"pins":[{"item_id":"\#(near)","position":1}],"boosts":[]}}}"#,
                fleet
            )
            _ = try await Self.change("p8:activate?wait=all", on: 0, fleet)
            func shows(_ item: String, _ query: String = "", user other: String? = nil) async throws -> [Bool] {
                var shown: [Bool] = []
                for node in 0...1 {
                    let target = "/v1/recommendations/\(other ?? user)?limit=50\(query)"
                    let response = try await fleet.app(node).get(target)
                    #expect(response.status == 200, "\(response.body)")
                    shown.append(try response.json(as: Slate.self).ids.contains(item))
                }
                return shown
            }
            func write(_ method: String, _ target: String, _ body: String) async throws {
                let response = try await fleet.app(1).send(method, target, body: body)
                #expect(response.status == 200, "\(response.body)")
            }
            #expect(try await shows(rare) == [true, true])
            try await write("PATCH", "/v1/items/\(rare)?wait=all", #"{"labels":{"rating":"18"}}"#)
            #expect(try await shows(rare) == [false, false])
            try await write("PUT", "/v1/users/\(user)", #"{"labels":{"age":"adult"}}"#)
            try await eventually("both nodes know that the user is adult", within: 5) {
                try await shows(rare) == [true, true]
            }
            #expect(try await shows(rare, "&region=XX") == [false, false])
            #expect(try await shows(rare, user: "nobody-of-this-name") == [false, false])
            // Without consent nobody is known to be adult.
            try await write("PUT", "/v1/users/\(user)/consent", #"{"personalization":false}"#)
            try await eventually("no label counts any more", within: 5) { try await shows(rare) == [false, false] }
            try await write("PUT", "/v1/users/\(user)/consent", #"{"personalization":true}"#)
            for node in 0...1 {
                for surface in ["email", "home", "email"] {
                    let response = try await fleet.app(node).get("/v1/recommendations/\(user)?surface=\(surface)")
                    let slate = try response.json(as: Slate.self)
                    #expect(slate.policy_version == "p8")
                    if surface == "email" { #expect(slate.ids.first == near) }
                }
            }
        }
    }

    @Test("a dry run compares lists of users as they are with what they would be, and changes nothing")
    func dryRun() async throws {
        try await Fleet.with { fleet in
            try await Self.put("p8", #"{"eligibility":{"not":{"categories":["nothing is in this"]}}}"#, fleet)
            try await Self.put(
                "p9",
                #"{"weights":{"collaborative":0,"content":0,"popularity":1},"diversity":[]}"#,
                fleet
            )
            let same = try await fleet.admin(0).post("\(Self.policies)/p8:dry_run", #"{"users":50}"#)
            #expect(
                same.body.hasPrefix(
                    #"{"version":"p8","against":"p0","surface":"home","limit":10,"users":50,"changed_users":0,"#
                ),
                "\(same.body)"
            )
            let other = try await fleet.admin(1).post("\(Self.policies)/p9:dry_run", #"{"users":50,"limit":20}"#)
            #expect(other.status == 200 && !other.body.contains(#""changed_users":0,"#), "\(other.body)")
            #expect(try await fleet.slate(0, user: Self.users[0]).served_from.tier == "computed")
            #expect(try await fleet.slate(0, user: Self.users[0]).policy_version == "p0")
        }
    }

    @Test("after a rollback the lists of the policy before are still warm")
    func warm() async throws {
        try await Fleet.with { fleet in
            try await Self.put("p7", #"{"pool_size":60}"#, fleet)
            try await Self.put("p8", #"{"pool_size":70}"#, fleet)
            _ = try await Self.change("p7:activate", on: 0, fleet)
            for node in 0...1 {
                for user in Self.users { _ = try await fleet.slate(node, user: user) }
            }
            _ = try await Self.change("p8:activate", on: 0, fleet)
            let cold = try await fleet.slate(0, user: Self.users[0])
            #expect(cold.policy_version == "p8" && cold.served_from.tier == "computed")
            _ = try await Self.change("p8:rollback", on: 0, fleet)
            for user in Self.users {
                let slate = try await fleet.slate(0, user: user)
                #expect(slate.policy_version == "p7")
                #expect(["l1", "l2"].contains(slate.served_from.tier), "\(slate.served_from.tier)")
            }
        }
    }

    @Test(
        "a policy of a newer program leaves all nodes on the last good one, ready and saying so; a refusing one refuses"
    )
    func lastGoodAndRefusal() async throws {
        try await Fleet.with { fleet in
            try await Self.put("p7", #"{"on_unverified":"refuse"}"#, fleet)
            _ = try await Self.change("p7:activate", on: 0, fleet)
            // As a newer node would write it.
            try await fleet.sql(
                """
                BEGIN;
                SELECT pg_advisory_xact_lock(7305805361);
                INSERT INTO policies (tenant, version, document)
                SELECT tenant, 'p9', '{"exploration": 0.1}' FROM tenants WHERE tenant_id = 'default';
                WITH logged AS (
                    INSERT INTO control_log (tenant, kind)
                    SELECT tenant, 'policy' FROM tenants WHERE tenant_id = 'default' RETURNING id, tenant
                )
                INSERT INTO policy_activations (tenant, epoch, version, before)
                SELECT tenant, id, 'p9', (SELECT max(epoch) FROM policy_activations) FROM logged;
                COMMIT;
                """
            )
            try await eventually("both nodes say that they are behind", within: 5) {
                try await fleet.everywhere { node in
                    let ready = try await RawHTTP(port: fleet.nodes[node].adminPort).get("/readyz")
                    return ready.status == 200 && ready.body.contains(#""policy""#)
                }
            }
            for node in 0...1 {
                let slate = try await fleet.slate(node, user: "u000001")
                #expect(slate.policy_version == "p7")
                #expect(slate.degraded.contains("policy"))
                let metrics = try await RawHTTP(port: fleet.nodes[node].adminPort).get("/metrics").body
                #expect(metrics.contains("vireo_tenants_on_last_good_policy 1"))
                #expect(metrics.contains("vireo_settings_age_seconds "))
                #expect(metrics.contains("vireo_snapshot_age_seconds "))
            }
            // This program does not put in force what it cannot read, and can go back to what it can.
            let again = try await fleet.admin(0).post("\(Self.policies)/p9:activate", "{}")
            #expect(again.status == 409 && again.body.contains("exploration"), "\(again.body)")
            _ = try await Self.change("p9:rollback", on: 1, fleet)
            try await eventually("nothing is missing any more", within: 5) {
                try await fleet.everywhere { node in
                    let ready = try await RawHTTP(port: fleet.nodes[node].adminPort).get("/readyz")
                    let slate = try await fleet.slate(node, user: "u000001")
                    return slate.degraded.isEmpty && !ready.body.contains(#""policy""#)
                }
            }
            // Cut from both stores, what is critical is not known, and p7 refuses to guess.
            try await fleet.redis.kill()
            try await fleet.postgres.kill()
            for node in 0...1 {
                let target = "/v1/recommendations/u000001"
                try await eventually("node \(node + 1) refuses", within: 5) {
                    try await fleet.app(node).get(target).status == 503
                }
                for _ in 0..<3 {
                    let refused = try await fleet.app(node).get(target)
                    #expect(
                        refused.status == 503 && refused.body.contains("urn:vireo:problem:unverified"),
                        "\(refused)"
                    )
                    #expect(refused.headers["retry-after"] != nil)
                }
            }
            try await fleet.redis.restart(empty: true)
            try await fleet.postgres.restart()
            try await eventually("answers come again", within: 20) {
                try await fleet.everywhere { node in try await !fleet.slate(node, user: "u000001").items.isEmpty }
            }
        }
    }
}
