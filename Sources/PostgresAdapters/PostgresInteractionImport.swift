import Postgres
import RecommendationCore
import Synchronization

/// The interactions of one import.
///
/// What is certainly new goes by COPY straight into the table, with the numbers of users and items resolved here: an event
/// that is later than all its user has, or that has an id, which the unique index judges. The rest, and a chunk with an id
/// that is there already, goes through a temporary table and is compared. Every chunk holds its users' row locks, so that no
/// other writer of them comes between looking and storing.
final class PostgresInteractionImport: InteractionImport {
    /// What was learned in chunks that are committed. All of it may be out of date and is only used where that does no harm,
    /// or is found out.
    private struct Memory {
        var users: [User.ID: RememberedUser] = [:]
        var items: [Item.ID: Int32] = [:]
        /// Where the control log stood when the first item was looked up: a deletion of an item moves it.
        var controlHead: Int64?
        /// Whether events of a chunk were there before: then COPY would fail again.
        var expectsDuplicates = false
    }

    struct RememberedUser {
        var number: Int64
        var isRaised: Bool
    }

    private let store: PostgresStore
    private let tenant: Tenant.ID
    private let memory = Mutex(Memory())

    init(store: PostgresStore, tenant: Tenant.ID) {
        self.store = store
        self.tenant = tenant
    }

    /// Two keep two of the server's cores at work, and leave the rest of the pool to others.
    var lanes: Int { min(2, self.store.client.poolSize) }

    func store(_ interactions: [ImportedInteraction]) async throws(RepositoryError) -> ImportedChunk {
        let number = try await self.store.requiredNumber(of: self.tenant)
        let outcome = try await self.store.transaction(timeout: .seconds(60)) { transaction in
            var write = InteractionChunkWrite(chunk: ImportChunk(interactions), tenant: number, memory: self)
            return try write.run(in: &transaction)
        }
        self.memory.withLock { memory in
            if outcome.controlHead != memory.controlHead { memory.items = [:] }
            memory.controlHead = outcome.controlHead
            for (id, number) in outcome.items { memory.items[id] = number }
            for (id, user) in outcome.users { memory.users[id] = user }
            memory.expectsDuplicates = outcome.expectsDuplicates
        }
        return outcome.chunk
    }

    func unknownItems(of interactions: [ImportedInteraction]) async throws(RepositoryError) -> [Int] {
        guard let number = try await self.store.number(of: self.tenant) else {
            return interactions.map(\.line).sorted()
        }
        var chunk = ImportChunk(interactions)
        let known = self.memory.withLock { memory in chunk.items.map { memory.items[$0] } }
        let missing = zip(chunk.items, known).filter { $1 == nil }.map(\.0)
        let found = try await self.store.mapped {
            try await self.store.client.query(
                "SELECT item_id, number FROM items WHERE tenant = $1 AND item_id = ANY($2)",
                [number, missing.map(\.string)]
            ) { row in (Item.ID(trusted: try row.decode(0)), try row.decode(1, as: Int32.self)) }
        }
        let isUnknown = self.memory.withLock { memory in
            for (id, number) in found { memory.items[id] = number }
            return chunk.items.map { memory.items[$0] == nil }
        }
        return chunk.removeRows { isUnknown[Int($0)] }
    }

    // MARK: Memory

    var expectsDuplicates: Bool { self.memory.withLock { $0.expectsDuplicates } }

    /// The numbers of items that were looked up while the control log ended at `head`; a deletion moves it.
    func numbers(of items: [Item.ID], at head: Int64) -> [Int32?] {
        self.memory.withLock { memory in
            guard memory.controlHead == head else { return Array(repeating: nil, count: items.count) }
            return items.map { memory.items[$0] }
        }
    }

    func users(_ ids: [User.ID]) -> [RememberedUser?] {
        self.memory.withLock { memory in ids.map { memory.users[$0] } }
    }
}
