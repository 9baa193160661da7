import Caching
import LocalServers
import Logging
import Postgres
import PostgresAdapters
import RecommendationCore
import Serving

/// A database of a test's own, with the repositories over one client.
struct Database: Sendable {
    let name: String
    let server: LocalPostgresServer
    let store: PostgresStore

    var client: PostgresClient { self.store.client }
    var feedback: PostgresFeedbackRepository { PostgresFeedbackRepository(store: self.store, hashes: Self.hashes) }
    var erasures: PostgresErasureRepository { PostgresErasureRepository(store: self.store) }
    var reads: ServingReads { ServingReads(client: self.store.client, patience: .seconds(20)) }
    var users: PostgresUserRepository { PostgresUserRepository(store: self.store, reads: self.reads) }
    var items: PostgresItemRepository { PostgresItemRepository(store: self.store) }
    var profiles: PostgresProfileRepository { PostgresProfileRepository(store: self.store) }
    var control: PostgresControlRepository { PostgresControlRepository(store: self.store) }
    var keys: PostgresAPIKeyRepository { PostgresAPIKeyRepository(store: self.store) }
    var models: PostgresModelRepository { PostgresModelRepository(store: self.store) }
    var snapshots: StoredSnapshots { StoredSnapshots(self.models) }
    var jobs: PostgresModelJobRepository { PostgresModelJobRepository(store: self.store) }
    var imports: PostgresImportRepository { PostgresImportRepository(store: self.store) }
    var policies: PostgresPolicyRepository { PostgresPolicyRepository(store: self.store) }
    var exports: PostgresExportRepository { PostgresExportRepository(store: self.store) }
    var precomputed: PostgresPrecomputedListRepository {
        PostgresPrecomputedListRepository(store: self.store, reads: self.reads)
    }
    var decisions: PostgresDecisionRepository { PostgresDecisionRepository(store: self.store, hashes: Self.hashes) }
    var impressions: PostgresImpressionRepository {
        PostgresImpressionRepository(store: self.store, reads: self.reads, hashes: Self.hashes)
    }
    var nodes: PostgresNodeRepository { PostgresNodeRepository(store: self.store) }
    var training: PostgresTrainingData { PostgresTrainingData(store: self.store) }
    var journal: PostgresJournal { PostgresJournal(store: self.store, incarnation: { "test" }) }

    /// What stays of a user who is erased.
    static let hash: @Sendable (User.ID, Tenant.ID) -> [UInt8] = {
        Self.hashing.erasure(of: $0, tenant: $1)
    }

    /// What may have stayed, also from before another key came first.
    static let hashes: @Sendable (User.ID, Tenant.ID) -> [[UInt8]] = {
        Self.rotated.erasures(of: $0, tenant: $1)
    }

    private static let key = "k1:\(String(repeating: "A", count: 43))="
    private static let hashing = LogHash(try! SigningKeys(parsing: Self.key))
    private static let rotated = LogHash(
        try! SigningKeys(parsing: "k2:\(String(repeating: "A", count: 42))E=,\(Self.key)")
    )

    /// The first column of every row.
    func values<Value: PostgresDecodable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        as type: Value.Type = Value.self
    ) async throws -> [Value] {
        try await self.client.query(statement, bindings) { row in try row.decode(0, as: type) }
    }

    /// The one value of a query.
    func value<Value: PostgresDecodable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        as type: Value.Type = Value.self
    ) async throws -> Value {
        try await self.values(statement, bindings, as: type)[0]
    }

    func count(_ table: String) async throws -> Int64 {
        try await self.value("SELECT count(*) FROM \(identifier: table)")
    }

    /// Puts plain items into the catalogue of the default tenant.
    func addItems(_ ids: String...) async throws {
        _ = try await self.imports.store(items: ids.map { item($0) }, tenant: .default)
    }
}

/// Runs the body with a database of its own: a copy of the migrated template, or an empty one.
func withDatabase(
    migrated: Bool = true,
    timeZone: String = "UTC",
    connections: Int = 8,
    _ body: (Database) async throws -> Void
) async throws {
    let server = try await Servers.postgres
    try await Turnstile.databases.pass {
        let name = "test_\(randomWord())"
        let template = migrated ? Servers.template : "template1"
        try await withClient(of: server) {
            try await $0.execute("CREATE DATABASE \(identifier: name) TEMPLATE \(identifier: template)")
        }
        try await withClient(of: server, database: name, timeZone: timeZone, connections: connections) { client in
            try await body(Database(name: name, server: server, store: PostgresStore(client: client)))
        }
        try await withClient(of: server) {
            try await $0.execute("DROP DATABASE \(identifier: name) WITH (FORCE)")
        }
    }
}

/// Runs the body with a client that is patient with a busy machine.
@discardableResult
func withClient<Result: Sendable>(
    of server: LocalPostgresServer,
    database: String = "postgres",
    name: String = "test",
    timeZone: String = "UTC",
    connections: Int = 2,
    acquireTimeout: Duration = .seconds(60),
    statementTimeout: Duration = .seconds(60),
    _ body: (PostgresClient) async throws -> Result
) async throws -> Result {
    var configuration = try PostgresConfiguration(
        url: server.url(database: database) + "?options=-c%20TimeZone%3D\(timeZone)"
    )
    configuration.applicationName = name
    configuration.poolSize = connections
    configuration.connectTimeout = .seconds(30)
    configuration.statementTimeout = statementTimeout
    configuration.acquireTimeout = acquireTimeout
    let client = PostgresClient(configuration: configuration, logger: .silent)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        let result = try await body(client)
        group.cancelAll()
        try await group.waitForAll()
        return result
    }
}

func id<Entity>(_ text: String) -> Identifier<Entity> { Identifier(trusted: text) }

func item(_ id: String, title: String? = nil, categories: [String] = []) -> Item {
    Item(id: Item.ID(trusted: id), title: title ?? "Title of \(id)", categories: categories)
}

/// An event; without a time it happened at second `at` of 2026.
func event(
    _ type: EventType = .like,
    by user: String,
    on item: String = "i1",
    id: String? = nil,
    at seconds: Int64 = 0,
    value: Float = 1
) -> Feedback {
    Feedback(
        eventID: id,
        user: User.ID(trusted: user),
        item: Item.ID(trusted: item),
        type: type,
        value: value,
        occurredAt: Timestamp(seconds: 1_767_225_600 + seconds)
    )
}

/// The types that raise a version, as the product has them by default.
let invalidating: Set<EventType> = [.purchase, .addToCart, .rating, .like, .dislike, .hide]

extension PostgresControlRepository {
    /// The whole list, read by pages.
    func denied(
        _ kind: Tombstone.Kind?,
        tenant: Tenant.ID,
        pages limit: Int = 1_000
    ) async throws(RepositoryError) -> [ListedTombstone] {
        var all: [ListedTombstone] = []
        while true {
            let place = all.last.map { TombstonePlace(epoch: $0.epoch, tombstone: $0.tombstone) }
            let page = try await self.tombstones(kind: kind, after: place, limit: limit, tenant: tenant)
            all += page
            guard page.count == limit else { return all }
        }
    }
}

extension PostgresModelRepository {
    /// For all users; the control log id.
    func activate(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        try await self.activate(number, share: 10_000, tenant: tenant).epoch
    }
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}
