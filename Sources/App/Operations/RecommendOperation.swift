package import RecommendationCore
import RecommendationEngine
import Training

/// `vireo recommend`: lists for many users, by the active model's own score, with the accumulation and top-K code that serves.
package struct RecommendOperation: Sendable {
    private static let blockSize = 1 << 20

    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    /// What was done.
    package struct Report: Sendable {
        package let users: Int
        package let unknown: Int
        package let model: String
        package let read: Duration
        /// Of one thread, with the lists written.
        package let rank: Duration

        package var usersPerSecond: Double { Double(self.users) / max(self.rank / .seconds(1), 1e-9) }
    }

    /// Ranks for users, all of them or those named, and hands out blocks of whole lines: `user<TAB>item1 item2 …`.
    ///
    /// - Parameter version: Of the policy by whose weights is ranked; nil: by the model's own score.
    package func run(
        tenant: Tenant.ID,
        users wanted: [User.ID]?,
        limit: Int,
        policy version: String?,
        write: ([UInt8]) throws -> Void
    ) async throws -> Report {
        let clock = ContinuousClock()
        let start = clock.now
        var policy: Policy?
        if let version { policy = try await PolicyLookup(session: self.session).policy(version, tenant: tenant) }
        let data = try await OfflineData.read(self.session, tenant: tenant)
        let order = wanted ?? data.rows.keys.sorted()
        let rows = order.map { data.rows[$0] }
        let read = clock.now
        let scorer = Scorer()
        let terms = EventTerms(.builtIn)
        let nobody: [HistoryEvent] = []
        var ranked: [Item.Number] = []
        var block: [UInt8] = []
        block.reserveCapacity(Self.blockSize + 65_536)
        for (user, row) in zip(order, rows) {
            if let policy {
                let pool = scorer.pool(
                    history: row.map { data.histories[$0] } ?? [],
                    snapshot: data.snapshot,
                    policy: policy,
                    excluded: [],
                    keepsSeen: !policy.seenFilter
                )
                ranked = pool.unseen.prefix(limit).map(\.item)
            } else if let row {
                data.histories.with(row) {
                    scorer.rank($0, snapshot: data.snapshot, limit: limit, terms: terms, into: &ranked)
                }
            } else {
                scorer.rank(nobody.span, snapshot: data.snapshot, limit: limit, terms: terms, into: &ranked)
            }
            block += user.string.utf8
            block.append(UInt8(ascii: "\t"))
            data.names.append(ranked, to: &block)
            block.append(UInt8(ascii: "\n"))
            guard block.count >= Self.blockSize else { continue }
            try write(block)
            block.removeAll(keepingCapacity: true)
        }
        if !block.isEmpty { try write(block) }
        return Report(
            users: order.count,
            unknown: rows.count { row in row.map { data.histories.count(of: $0) == 0 } ?? true },
            model: ModelVersion.name(data.version.number),
            read: read - start,
            rank: clock.now - read
        )
    }
}
