package import RecommendationCore
package import RecommendationEngine

/// Everything read for one fit.
package struct TrainingSet: Sendable {
    package let items: [NumberedItem]
    package let interactions: InteractionColumns
    /// The store's number of each dense user index.
    package let users: [Int64]
    private let categories: CategorySets

    /// The moments of the oldest and the newest interaction; nil without any.
    package var window: ClosedRange<Timestamp>? {
        let seconds = self.interactions.seconds
        guard let first = seconds.min(), let last = seconds.max() else { return nil }
        return Timestamp(seconds: first)...Timestamp(seconds: last)
    }

    package var itemCount: Int { self.items.last.map { Int($0.number) + 1 } ?? 0 }

    private struct Accumulator: Sendable {
        var columns = InteractionColumns()
        var users: [Int64] = []
        var indices: [Int64: UInt32] = [:]

        mutating func append(_ row: InteractionRow) {
            let index: UInt32
            if let known = self.indices[row.user] {
                index = known
            } else {
                index = UInt32(self.users.count)
                self.indices[row.user] = index
                self.users.append(row.user)
            }
            self.columns.append(user: index, item: row.item, type: row.type, value: row.value, seconds: row.seconds)
        }
    }

    package static func read(
        from data: any TrainingDataRepository,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> TrainingSet {
        let items = try await data.items(tenant: tenant)
        let read = try await data.reduceInteractions(tenant: tenant, into: Accumulator()) { $0.append($1) }
        return TrainingSet(items: items, interactions: read.columns, users: read.users)
    }

    package init(items: [NumberedItem], interactions: InteractionColumns, users: [Int64]) {
        self.items = items
        self.interactions = interactions
        self.users = users
        var indices: [String: UInt32] = [:]
        var rows: [[UInt32]] = []
        for numbered in items {
            // Numbers without an item are rows without a category.
            while rows.count < Int(numbered.number) { rows.append([]) }
            rows.append(
                numbered.item.categories.map { category in
                    if let index = indices[category] { return index }
                    let index = UInt32(indices.count)
                    indices[category] = index
                    return index
                }
            )
        }
        self.categories = CategorySets(rows)
    }

    package func fitInput(builtAt: Timestamp, policy: Policy = .builtIn) -> FitInput {
        self.fitInput(self.interactions, builtAt: builtAt, policy: policy)
    }

    func fitInput(_ interactions: InteractionColumns, builtAt: Timestamp, policy: Policy) -> FitInput {
        FitInput(
            interactions: interactions,
            itemCount: self.itemCount,
            categories: self.categories,
            eventWeights: policy.eventWeights,
            halfLifeDays: policy.halfLifeDays,
            builtAt: builtAt
        )
    }

    /// User indices in the order of the store's numbers, which does not depend on the order of the rows.
    package var usersByNumber: [UInt32] {
        self.users.indices.sorted { self.users[$0] < self.users[$1] }.map { UInt32($0) }
    }

    /// The events of every user.
    package func histories() -> Histories { Histories(self.interactions, userCount: self.users.count) }
}
