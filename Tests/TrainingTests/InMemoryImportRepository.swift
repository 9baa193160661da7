import RecommendationCore
import Synchronization

/// The store of an import in memory: what `PostgresImportRepository` promises, with scripted failures and a say in time.
final class InMemoryImportRepository: ImportRepository {
    enum Call: Equatable {
        case ensureTenant
        case items(Int)
        case users(Int)
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
        var items: [Item.ID: ImportedItem] = [:]
        var users: [User.ID: ImportedUser] = [:]
        var raised: Set<User.ID> = []
        var interactions: Set<Key> = []
        var versions: [User.ID: Int] = [:]
        var generation: Int64 = 0
        var calls: [Call] = []
        var faults: [Fault] = []
        var analyzed: [Set<ImportedKind>] = []
    }

    private let state = Mutex(State())
    private let lanes: Int
    private let analysisError: RepositoryError?
    private let isVulnerable: @Sendable (Call) -> Bool
    private let onCall: @Sendable (Call) -> Void

    /// - Parameters:
    ///   - isVulnerable: The calls that take the next of the faults.
    ///   - onCall: Told of every call, before it does anything.
    init(
        lanes: Int = 1,
        analysisError: RepositoryError? = nil,
        faults: [Fault] = [],
        isVulnerable: @escaping @Sendable (Call) -> Bool = { _ in true },
        onCall: @escaping @Sendable (Call) -> Void = { _ in }
    ) {
        self.lanes = lanes
        self.analysisError = analysisError
        self.isVulnerable = isVulnerable
        self.onCall = onCall
        self.state.withLock { $0.faults = faults }
    }

    var items: [Item.ID: Item] { self.state.withLock { $0.items.mapValues(\.item) } }
    var users: [User.ID: ImportedUser] { self.state.withLock { $0.users } }
    var interactionCount: Int { self.state.withLock { $0.interactions.count } }
    var versions: [User.ID: Int] { self.state.withLock { $0.versions } }
    var generation: Int64 { self.state.withLock { $0.generation } }
    var calls: [Call] { self.state.withLock { $0.calls } }
    /// What statistics were gathered of, import by import.
    var analyzed: [Set<ImportedKind>] { self.state.withLock { $0.analyzed } }
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
        items: [ImportedItem],
        onlyNew: Bool,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ImportedCounts {
        guard !items.isEmpty else { return ImportedCounts() }
        return try self.call(.items(items.count)) { state in
            var counts = ImportedCounts()
            for item in items {
                if onlyNew, state.items[item.item.id] != nil {
                    counts.unchanged += 1
                    continue
                }
                switch state.items.updateValue(item, forKey: item.item.id) {
                case nil: counts.new += 1
                case item: counts.unchanged += 1
                default: counts.changed += 1
                }
            }
            return counts
        }
    }

    func store(users: [ImportedUser], tenant: Tenant.ID) async throws(RepositoryError) -> ImportedCounts {
        try self.call(.users(users.count)) { state in
            var counts = ImportedCounts()
            for user in users {
                switch state.users.updateValue(user, forKey: user.id) {
                case nil: counts.new += 1
                case user: counts.unchanged += 1
                default: counts.changed += 1
                }
            }
            return counts
        }
    }

    func interactions(tenant: Tenant.ID) -> any InteractionImport {
        self.state.withLock { $0.raised = [] }
        return Interactions(repository: self)
    }

    private struct Interactions: InteractionImport {
        let repository: InMemoryImportRepository

        var lanes: Int { self.repository.lanes }

        func store(_ interactions: [ImportedInteraction]) async throws(RepositoryError) -> ImportedChunk {
            try self.repository.store(interactions)
        }

        func unknownItems(of interactions: [ImportedInteraction]) async throws(RepositoryError) -> [Int] {
            let items = self.repository.items
            return interactions.filter { items[$0.item] == nil }.map(\.line)
        }
    }

    private func store(_ interactions: [ImportedInteraction]) throws(RepositoryError) -> ImportedChunk {
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
            chunk.raised = touched.subtracting(state.raised).sorted()
            state.raised.formUnion(chunk.raised)
            for user in chunk.raised { state.versions[user, default: 0] += 1 }
            return chunk
        }
    }

    func analyze(_ kinds: Set<ImportedKind>) async throws(RepositoryError) {
        self.state.withLock { $0.analyzed.append(kinds) }
        if let error = self.analysisError { throw error }
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
