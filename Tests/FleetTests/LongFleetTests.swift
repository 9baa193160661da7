import Foundation
import LocalServers
import Testing

/// What takes longer than `deploy/test` has: `deploy/test --long` runs these suites, whose names begin with Long.
@Suite("Long: links", .serialized)
struct LongLinkFleetTests {
    @Test("no answer is wrong, whatever link is disturbed", arguments: LinkFault.allCases)
    func fault(_ fault: LinkFault) async throws { try await fault.check(seconds: 20) }
}

@Suite("Long: primaries of a cluster", .serialized)
struct LongClusterFleetTests {
    @Test("the bus's primary hands its slots over: nothing stale, nothing lost")
    func switched() async throws {
        try await ClusterFleetTests.failedOver("a handing over") { before, servers in
            let at = try #require(servers.servers.firstIndex { $0.port == before.port })
            // Each of the first three has the one three places on as its replica.
            #expect(await servers.ask(servers.servers[at + 3], "CLUSTER FAILOVER").hasPrefix("+OK"))
        }
    }

    @Test("the bus's primary stands still until its replica has its slots, and goes on: nothing stale, nothing lost")
    func frozen() async throws {
        try await ClusterFleetTests.failedOver("a freeze", seconds: 15) { before, _ in
            try before.pause()
        } then: { before in
            try before.resume()
        }
    }
}

@Suite("Long: feedback over streams", .serialized)
struct LongFeedbackStreamFleetTests {
    @Test("PostgreSQL is away for a minute: nothing is lost, and nothing is put among the dead for that")
    func minute() async throws { try await FeedbackStreamFleetTests.once(away: .seconds(60)) }
}

@Suite("Long: crashes", .serialized)
struct LongCrashFleetTests {
    @Test("a hundred kills of a node among its writes") func hundred() async throws {
        try await CrashingWriter.killed(try LongRun.number("VIREO_LONG_KILLS", 100))
    }
}

@Suite("Long: one cold key", .serialized)
struct LongSingleFlightFleetTests {
    @Test("a thousand callers on four nodes: one computation, and one list")
    func thousand() async throws {
        // A debug build takes longer over a thousand requests than a request may take; the lease is renewed meanwhile.
        try await SingleFlightFleetTests.once(callers: 250, settings: ["VIREO_DEADLINE_MS": "20000"])
    }
}

@Suite("Long: check", .serialized)
struct LongCheckFleetTests {
    @Test("every kind of write, at length: no violation")
    func length() async throws {
        let seconds = try LongRun.number("VIREO_LONG_CHECK_SECONDS", 300)
        try await Fleet.with(nodes: 3) { fleet in
            let outcome = try await fleet.check(
                fleet.checkKey(),
                seconds: seconds,
                kinds: "purchase,suppression,consent,reset,tombstone,hidden,stock,purge",
                more: ["--min-pairs", "\(seconds * 5)"]
            )
            let report = try outcome.report()
            print("\(report.pairs) pairs in \(seconds) s, p99 \(report.staleness_ms.other.p99) ms")
            #expect(report.violations == 0, "\(outcome.output)")
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }
}

enum LongRun {
    struct Bad: Error, CustomStringConvertible {
        let description: String
    }

    /// How much of something, from the environment.
    static func number(_ name: String, _ usual: Int) throws -> Int {
        guard let text = ProcessInfo.processInfo.environment[name] else { return usual }
        guard let number = Int(text), number > 0 else { throw Bad(description: "\(name) must be a number above 0") }
        return number
    }
}
