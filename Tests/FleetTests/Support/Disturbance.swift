import Foundation
import Testing

extension Fleet {
    /// Writes and reads for some seconds, with a disturbance that begins after one of them.
    ///
    /// No answer is wrong, every purchase that was acknowledged is stored, and afterwards the fleet is one.
    ///
    /// - Returns: What the disturbance gives.
    func checked(
        seconds: Int,
        _ disturbance: @escaping @Sendable () async throws -> Duration
    ) async throws -> Duration {
        let key = try await self.checkKey()
        try await self.sql("CREATE TABLE noted AS SELECT count(event_id) AS events FROM interactions")
        async let recovery = Task {
            try await Task.sleep(for: .seconds(1))
            return try await disturbance()
        }.value
        let outcome = try await self.check(
            key,
            seconds: seconds,
            kinds: "purchase,suppression",
            more: ["--timeout", "2", "--min-pairs", "50"]
        )
        let took = try await recovery
        let report = try outcome.report()
        #expect(report.violations == 0, "\(outcome.output)")
        #expect(outcome.code == 0, "\(outcome.errors)")
        print("\(report.pairs) pairs, \(report.tiers), \(report.kinds)")
        let acknowledged = try #require(report.kinds["purchase"]).acknowledged
        try await self.sql(
            """
            DO $$ BEGIN
                ASSERT (SELECT count(event_id) - min(noted.events) FROM interactions, noted) >= \(acknowledged);
            END $$
            """
        )
        // The fleet is one: what one node is told, another shows.
        let item = try await self.slate(0, user: "u000007").ids[0]
        let written = try await self.feedback(0, user: "u000007", item: item, event: "after-\(UUID())")
        #expect(written.propagated)
        try await eventually("node 2 knows of it", within: 10) {
            try await !self.slate(1, user: "u000007").ids.contains(item)
        }
        return took
    }

    /// Whether every node has its lease from the bus.
    func isLeasedEverywhere() async throws -> Bool {
        try await self.everywhere { node in
            try await RawHTTP(port: self.nodes[node].adminPort).get("/metrics").body
                .contains("vireo_lease_live{proof=\"bus\"} 1")
        }
    }
}
