package import RecommendationCore
import RecommendationEngine
import Training

/// `vireo recommend`: lists for many users, by the active model's own score, with the accumulation and top-K code that serves.
package struct RecommendOperation: Sendable {
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
        package let rank: Duration
    }

    package enum Failure: Error, CustomStringConvertible, Sendable {
        case noModel(Tenant.ID)
        case corrupt(String)

        package var description: String {
            switch self {
            case .noModel(let tenant): "tenant \(tenant) has no active model; run vireo train --activate"
            case .corrupt(let model): "the artifact of \(model) cannot be read"
            }
        }
    }

    /// Ranks for users, all of them or those named, and hands out a line each: `user<TAB>item1 item2 …`.
    ///
    /// - Parameter version: Of the policy by whose weights is ranked; nil: by the model's own score.
    package func run(
        tenant: Tenant.ID,
        users wanted: [User.ID]?,
        limit: Int,
        policy version: String?,
        write: (String) throws -> Void
    ) async throws -> Report {
        let clock = ContinuousClock()
        let start = clock.now
        let versions = try await self.session.models.versions(tenant: tenant)
        guard let active = versions.first(where: { $0.state == .active }) else { throw Failure.noModel(tenant) }
        var policy: Policy?
        if let version { policy = try await PolicyLookup(session: self.session).policy(version, tenant: tenant) }
        let snapshot: Snapshot
        do {
            snapshot = try SnapshotArtifact(decoding: try await self.session.models.artifact(active.number)).snapshot
        } catch is ArtifactError {
            throw Failure.corrupt(ModelVersion.name(active.number))
        }
        let set = try await TrainingSet.read(from: self.session.data, tenant: tenant)
        let ids = try await self.session.data.userIDs(tenant: tenant)
        var names = [String](repeating: "", count: set.itemCount)
        for numbered in set.items { names[Int(numbered.number)] = numbered.item.id.string }
        var rows: [User.ID: Int] = [:]
        for (row, number) in set.users.enumerated() {
            if let id = ids[number] { rows[id] = row }
        }
        let histories = set.histories()
        let read = clock.now
        let scorer = Scorer()
        var unknown = 0
        let order = wanted ?? rows.keys.sorted()
        for user in order {
            let history = rows[user].map { histories[$0] } ?? []
            if history.isEmpty { unknown += 1 }
            let ranked: [Item.Number]
            if let policy {
                let pool = scorer.pool(
                    history: history,
                    snapshot: snapshot,
                    policy: policy,
                    excluded: [],
                    keepsSeen: !policy.seenFilter
                )
                ranked = pool.unseen.prefix(limit).map(\.item)
            } else {
                ranked = scorer.ranked(history: history, snapshot: snapshot, limit: limit)
            }
            let items = ranked.lazy.map { names[Int($0)] }.filter { !$0.isEmpty }.joined(separator: " ")
            try write("\(user.string)\t\(items)\n")
        }
        return Report(
            users: order.count,
            unknown: unknown,
            model: ModelVersion.name(active.number),
            read: read - start,
            rank: clock.now - read
        )
    }
}
