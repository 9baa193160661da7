import Foundation
import LocalServers
import Testing

/// `vireo check` against real nodes: it finds nothing where nothing is wrong, and what is wrong where something is.
@Suite("vireo check", .serialized)
struct CheckFleetTests {
    @Test("three nodes, every kind of write: hundreds of pairs on every node, and no violation")
    func holds() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            // A change that waits for all takes a second: time for several of each kind. Few callers, who ask without a pause:
            // Redis, too, must get a processor within its 100 ms.
            let outcome = try await fleet.check(
                fleet.checkKey(),
                seconds: 12,
                kinds: "purchase,suppression,consent,reset,tombstone,hidden,stock,purge",
                more: ["--writers", "16", "--readers", "2"]
            )
            #expect(outcome.code == 0, "\(outcome.errors)")
            let report = try outcome.report()
            #expect(report.holds)
            #expect(report.pairs > 200)
            #expect(report.violations == 0)
            #expect(report.repeated_ids == 0)
            #expect(report.incidental > 50)
            #expect(report.examples.isEmpty)
            for kind in ["purchase", "suppression", "consent", "tombstone", "hidden", "stock", "purge"] {
                let counts = try #require(report.kinds[kind])
                #expect(counts.pairs > 0, "\(kind): \(report.kinds)")
                // A Redis that gets no processor for 100 ms costs a write here and there its propagation.
                #expect(counts.unpropagated <= 1 + counts.acknowledged / 4, "\(kind): \(counts)")
                #expect(counts.unknown <= 1 + counts.writes / 4, "\(kind): \(counts)")
            }
            #expect(report.staleness_ms.own.count > 30)
            #expect(report.staleness_ms.other.count > 30)
            #expect(report.staleness_ms.other.p50 < 1_000)
            let errors = [report.errors.reads, report.errors.writes].flatMap(\.values).reduce(0, +)
            #expect(errors * 20 <= report.pairs, "\(report.errors)")
            // Everything was taken back.
            let tombstones = try await fleet.admin(0).get("/v1/admin/tombstones").body
            #expect(tombstones == #"{"tombstones":[],"next_cursor":null}"#)
            try await fleet.sql(
                """
                DO $$ BEGIN
                    ASSERT (SELECT count(*) FROM suppressions) = 0;
                    ASSERT (SELECT count(*) FROM user_state WHERE NOT consent) = 0;
                    ASSERT (SELECT count(*) FROM items WHERE hidden OR NOT in_stock) = 0;
                END $$
                """
            )
        }
    }

    @Test("users are erased beside purchases: no node serves what was before, and all are done")
    func erasures() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let outcome = try await fleet.check(
                fleet.checkKey(),
                seconds: 10,
                kinds: "purchase,suppression,erasure",
                more: ["--writers", "24", "--readers", "2"]
            )
            #expect(outcome.code == 0, "\(outcome.errors)")
            let report = try outcome.report()
            #expect(report.violations == 0 && report.examples.isEmpty)
            #expect(try #require(report.kinds["erasure"]).pairs > 3)
            try await eventually("every erasure is done", within: 30) {
                try await fleet.postgres.query("SELECT count(*) FROM erasures WHERE state <> 'done'") == ["0"]
            }
            let erased = try await fleet.postgres.query("SELECT count(*) FROM erasures")
            #expect(erased != ["0"])
        }
    }

    @Test("a cache in front of the nodes that keeps what it must not is found out, and named")
    func cached() async throws {
        try await Fleet.with { fleet in
            try await CachingProxy.with(fleet) { proxy in
                // It answers as a third node would, from what it has kept for a second or two whatever the nodes say.
                let nodes = fleet.nodes.map { "http://127.0.0.1:\($0.port)" }
                let stubborn = "http://127.0.0.1:\(proxy.stubborn)"
                let key = try await fleet.checkKey()
                let found = try await fleet.check(key, seconds: 4, kinds: "purchase", nodes: nodes + [stubborn])
                #expect(found.code == 1)
                let report = try found.report()
                #expect(!report.holds)
                #expect(report.violations > 10)
                #expect(report.examples.count == 20 || report.examples.count == report.violations)
                #expect(report.examples.allSatisfy { $0.read.node == stubborn }, "the others are without fault")
                let first = try #require(report.examples.first)
                #expect(first.kind == "purchase")
                #expect(first.item?.hasPrefix("i") == true && first.user.hasPrefix("u"))
                #expect(first.read.begin_ms > first.write.end_ms && first.write.end_ms > first.write.begin_ms)
                #expect(first.read.path.contains(first.user))
                #expect(found.errors.contains("showed what they must not show"), "\(found.errors)")
                // The same without the culprit, for people.
                let healthy = try await fleet.check(key, seconds: 4, kinds: "purchase", nodes: nodes, json: false)
                #expect(healthy.code == 0, "\(healthy.output) \(healthy.errors)")
                #expect(healthy.output.contains(" 0 violations"))
            }
        }
    }

    @Test("a run that judged too little fails; a wrong key, a wrong address and bad usage are named")
    func refusals() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            let node = "http://127.0.0.1:\(fleet.nodes[0].port)"
            let key = try await fleet.checkKey()
            let short = try await fleet.check(key, seconds: 1, kinds: "purchase", more: ["--min-pairs", "100000"])
            #expect(short.code == 1)
            #expect(short.errors.contains("which is less than 100000"), "\(short.errors)")
            #expect(try short.report().violations == 0)
            let wrong = try await Vireo.run(["check", "--nodes", node], ["VIREO_API_KEY": "wr0ng"])
            #expect(wrong.code == 1)
            #expect(wrong.errors.contains("VIREO_API_KEY"), "\(wrong.errors)")
            #expect(!(wrong.output + wrong.errors).contains("wr0ng"))
            let nobody = try await Vireo.run(["check", "--nodes", "http://127.0.0.1:1"])
            #expect(nobody.code == 1)
            #expect(nobody.errors == "vireo: nothing answers at http://127.0.0.1:1\n")
            for (arguments, text) in [
                (["--kinds", "purchase,theft"], "--kinds must be"), (["--kinds", "reset"], "--kinds must be"),
                (["--kinds", "tombstone"], "--admin-urls"), (["--nodes", "127.0.0.1"], "--nodes must be"),
                (["--bound", "0"], "--bound must be"), (["--users-file", "/nowhere"], "--users-file must be"),
            ] {
                let outcome = try await Vireo.run(["check"] + arguments)
                #expect(outcome.code == 2, "\(arguments)")
                #expect(outcome.errors.contains(text), "\(outcome.errors)")
            }
        }
    }
}

struct CheckDocument: Decodable {
    struct Kind: Decodable {
        let writes, acknowledged, unpropagated, unknown, pairs, violations: Int
    }

    struct Staleness: Decodable {
        struct Durations: Decodable {
            let p50, p99, max: Double
            let count: Int
        }

        let own, other: Durations
    }

    struct Errors: Decodable {
        let reads, writes: [String: Int]
    }

    struct Example: Decodable {
        struct Write: Decodable {
            let begin_ms, end_ms: Double
        }

        struct Read: Decodable {
            let node, path, declared: String
            let begin_ms, end_ms: Double
        }

        let kind: String
        let user: String
        /// A purge has none.
        let item: String?
        let write: Write
        let read: Read
    }

    struct Unverified: Decodable {
        let answers, exempt, exempt_shown: Int
    }

    let holds: Bool
    let pairs, violations, incidental, repeated_ids, unpropagated_reads: Int
    let kinds: [String: Kind]
    let unverified: Unverified
    let staleness_ms: Staleness
    let tiers: [String: Int]
    let errors: Errors
    let examples: [Example]
    let notes: [String]
}

extension Vireo.Outcome {
    func report() throws -> CheckDocument { try JSONDecoder().decode(CheckDocument.self, from: Data(self.output.utf8)) }
}

extension Fleet {
    /// A key with every right, once every node knows it.
    func checkKey() async throws -> String {
        let key = try await Vireo.succeed(["keys", "create", "--scopes", "read,write,admin"], self.environment)
        try await eventually("the new key is known", within: 10) {
            try await self.everywhere { node in
                let own = RawHTTP(port: self.nodes[node].port, key: key)
                guard try await own.get("/v1/recommendations/u000001").status == 200 else { return false }
                let admin = RawHTTP(port: self.nodes[node].adminPort, key: key)
                return try await admin.get("/v1/admin/tombstones").status == 200
            }
        }
        return key
    }

    /// Runs `vireo check` on all nodes, or on others.
    func check(
        _ key: String,
        seconds: Int,
        kinds: String,
        users: Int = 300,
        nodes: [String]? = nil,
        json: Bool = true,
        more: [String] = []
    ) async throws -> Vireo.Outcome {
        var environment = self.environment
        environment["VIREO_API_KEY"] = key
        let all = nodes ?? self.nodes.map { "http://127.0.0.1:\($0.port)" }
        return try await Vireo.run(
            [
                "check", "--nodes", all.joined(separator: ","), "--users", "\(users)", "--duration", "\(seconds)",
                "--admin-urls", self.nodes.map { "http://127.0.0.1:\($0.adminPort)" }.joined(separator: ","),
                "--kinds", kinds, "--writers", "40",
            ] + (json ? ["--json"] : []) + more,
            environment
        )
    }
}
