import RecommendationCore
import Synchronization

/// The store of an import in memory: what `PostgresImportRepository` promises, with scripted failures and a say in time.
final class InMemoryImportRepository: ImportRepository {
    enum Call: Equatable {
        case ensureTenant
        case items(Int)
        case interactions(Int)
        case finish
    }

    /// What a call does instead of succeeding.
    struct Fault {
        var error: RepositoryError
        /// The work is done all the same.
        var isStored = false
    }

    private struct Key: Hashable {
        var user: User.ID
        var item: Item.ID
        var type: EventType
        var value: Float
        var occurredAt: Timestamp
    }

    private struct State {
        var items: [Item.ID: Item] = [:]
        var interactions: Set<Key> = []
        var versions: [User.ID: Int] = [:]
        var generation: Int64 = 0
        var calls: [Call] = []
        var faults: [Fault] = []
    }

    private let state = Mutex(State())
    private let isVulnerable: @Sendable (Call) -> Bool
    private let onCall: @Sendable (Call) -> Void

    /// - Parameters:
    ///   - isVulnerable: The calls that take the next of the faults.
    ///   - onCall: Told of every call, before it does anything.
    init(
        faults: [Fault] = [],
        isVulnerable: @escaping @Sendable (Call) -> Bool = { _ in true },
        onCall: @escaping @Sendable (Call) -> Void = { _ in }
    ) {
        self.isVulnerable = isVulnerable
        self.onCall = onCall
        self.state.withLock { $0.faults = faults }
    }

    var items: [Item.ID: Item] { self.state.withLock { $0.items } }
    var interactionCount: Int { self.state.withLock { $0.interactions.count } }
    var versions: [User.ID: Int] { self.state.withLock { $0.versions } }
    var generation: Int64 { self.state.withLock { $0.generation } }
    var calls: [Call] { self.state.withLock { $0.calls } }
    var finishes: Int { self.calls.filter { $0 == .finish }.count }

    private func call<Result: Sendable>(
        _ call: Call,
        _ body: (inout State) -> Result
    ) throws(RepositoryError) -> Result {
        self.onCall(call)
        let (result, error): (Result?, RepositoryError?) = self.state.withLock { state in
            state.calls.append(call)
            guard self.isVulnerable(call), !state.faults.isEmpty else { return (body(&state), nil) }
            let fault = state.faults.removeFirst()
            if fault.isStored { _ = body(&state) }
            return (nil, fault.error)
        }
        guard let result else { throw error ?? .failed("no result") }
        return result
    }

    func ensureTenant(_ tenant: Tenant.ID) async throws(RepositoryError) {
        try self.call(.ensureTenant) { _ in }
    }

    func store(
        items: [Item],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (new: Int, changed: Int, unchanged: Int) {
        try self.call(.items(items.count)) { state in
            var (new, changed, unchanged) = (0, 0, 0)
            for item in items {
                switch state.items.updateValue(item, forKey: item.id) {
                case nil: new += 1
                case item: unchanged += 1
                default: changed += 1
                }
            }
            return (new, changed, unchanged)
        }
    }

    func store(
        interactions: [ImportedInteraction],
        alreadyRaised: Set<User.ID>,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ImportedChunk {
        try self.call(.interactions(interactions.count)) { state in
            var chunk = ImportedChunk(stored: 0, unchanged: 0, unknownItems: [], raised: [])
            var touched: Set<User.ID> = []
            for row in interactions {
                guard state.items[row.item] != nil else {
                    chunk.unknownItems.append(row.line)
                    continue
                }
                let key = Key(
                    user: row.user,
                    item: row.item,
                    type: row.type,
                    value: row.value,
                    occurredAt: row.occurredAt
                )
                if state.interactions.insert(key).inserted {
                    chunk.stored += 1
                    touched.insert(row.user)
                } else {
                    chunk.unchanged += 1
                }
            }
            chunk.raised = touched.subtracting(alreadyRaised).sorted()
            for user in chunk.raised { state.versions[user, default: 0] += 1 }
            return chunk
        }
    }

    func finish(tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        try self.call(.finish) { state in
            state.generation += 1
            return state.generation
        }
    }

    func isEmpty(tenant: Tenant.ID) async throws(RepositoryError) -> Bool {
        self.state.withLock { $0.items.isEmpty && $0.interactions.isEmpty }
    }
}
