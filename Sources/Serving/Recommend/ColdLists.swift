import Caching
import Metrics
import RecommendationCore
import Synchronization

/// The pools that users without one of their own share: one for each tenant, model and what is asked for by category, of the
/// tenant's current state (policy, exclusions), however many such users ask. Computed from memory; bounded in number.
final class ColdLists: Sendable {
    /// What a list is of.
    private struct Key: Hashable {
        let tenant: Tenant.ID
        /// Of two that serve side by side, one.
        let model: ModelVersion.Number?
        /// ``TenantState/variant``.
        let variant: String
        /// ``RequestFilters/poolDigest(in:policy:)``.
        let digest: String
    }

    private struct List {
        /// Weak, so that a list nobody asks for keeps no old snapshot alive.
        weak var state: TenantState?
        let payload: [UInt8]
        /// When it was last asked for, counted in questions.
        var lastUse: UInt64
    }

    private struct Table {
        var lists: [Key: List] = [:]
        var uses: UInt64 = 0

        /// Drops what is of no state any more, and where that is not enough the half that was not asked for longest: who asks
        /// for ever other categories does not take the place of the lists that everybody asks for.
        mutating func makeRoom(in maximum: Int) {
            self.lists = self.lists.filter { $0.value.state != nil }
            guard self.lists.count >= maximum else { return }
            let uses = self.lists.values.map(\.lastUse).sorted()
            let oldest = uses[uses.count / 2]
            self.lists = self.lists.filter { $0.value.lastUse > oldest }
        }
    }

    private let maximum: Int
    private let table = Mutex(Table())
    private let metrics = CacheMetrics(.cold)

    init(maximum: Int = 1_024) {
        self.maximum = maximum
    }

    var count: Int { self.table.withLock { $0.lists.count } }

    /// The bytes of the pool for a state; `compute` makes them where the state is a new one.
    func payload(_ state: TenantState, digest: String, compute: () -> [UInt8]) -> [UInt8] {
        let key = Key(tenant: state.tenant, model: state.model?.number, variant: state.variant, digest: digest)
        let held: [UInt8]? = self.table.withLock { table in
            table.uses += 1
            guard let list = table.lists[key], list.state === state else { return nil }
            table.lists[key]?.lastUse = table.uses
            return list.payload
        }
        if let held {
            self.metrics.hits.increment()
            return held
        }
        self.metrics.misses.increment()
        let start = ContinuousClock.now
        let payload = compute()
        self.metrics.loaded(in: .now - start, bytes: payload.count)
        let count = self.table.withLock { table in
            if table.lists[key] == nil, table.lists.count >= self.maximum { table.makeRoom(in: self.maximum) }
            table.lists[key] = List(state: state, payload: payload, lastUse: table.uses)
            return table.lists.count
        }
        self.metrics.entries.record(count)
        return payload
    }
}
