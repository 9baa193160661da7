import Caching
import Metrics
import RecommendationCore
import Synchronization

/// The pools that users without one of their own share: one for each tenant and surface, of its current state (model,
/// policy, exclusions), however many such users ask. Computed from memory; bounded in number.
final class ColdLists: Sendable {
    private static let maximum = 1_024

    private struct Key: Hashable {
        let tenant: Tenant.ID
        let surface: String
    }

    private struct List {
        /// Weak, so that a list nobody asks for keeps no old snapshot alive.
        weak var state: TenantState?
        let payload: [UInt8]
    }

    private let lists = Mutex<[Key: List]>([:])
    private let metrics = CacheMetrics(.cold)

    /// The bytes of the pool for a state; `compute` makes them where the state is a new one.
    func payload(_ state: TenantState, surface: String, compute: () -> [UInt8]) -> [UInt8] {
        let key = Key(tenant: state.tenant, surface: surface)
        let held = self.lists.withLock { lists in
            lists[key].flatMap { $0.state === state ? $0.payload : nil }
        }
        if let held {
            self.metrics.hits.increment()
            return held
        }
        self.metrics.misses.increment()
        let start = ContinuousClock.now
        let payload = compute()
        self.metrics.loaded(in: .now - start, bytes: payload.count)
        let count = self.lists.withLock { lists in
            if lists.count >= Self.maximum { lists = lists.filter { $0.value.state != nil } }
            if lists.count < Self.maximum { lists[key] = List(state: state, payload: payload) }
            return lists.count
        }
        self.metrics.entries.record(count)
        return payload
    }
}
