package import Logging
import Postgres
package import PostgresAdapters
package import RecommendationCore

/// The store for the length of one command of the shell.
package struct StoreSession: Sendable {
    package let store: PostgresStore
    package let log: Logger

    /// Runs `body` with an open client, and closes it.
    package static func with<Result: Sendable>(
        _ settings: Settings,
        log: Logger,
        _ body: (StoreSession) async throws -> Result
    ) async throws -> Result {
        guard var configuration = settings.postgres else { throw SettingsError.missing(.postgresURL) }
        configuration.applicationName = "vireo-cli"
        let client = PostgresClient(configuration: configuration, logger: log)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            defer { group.cancelAll() }
            return try await body(StoreSession(store: PostgresStore(client: client), log: log))
        }
    }

    package var models: PostgresModelRepository { PostgresModelRepository(store: self.store) }
    package var data: PostgresTrainingData { PostgresTrainingData(store: self.store) }
    package var keys: PostgresAPIKeyRepository { PostgresAPIKeyRepository(store: self.store) }
    package var imports: PostgresImportRepository { PostgresImportRepository(store: self.store) }
    package var nodes: PostgresNodeRepository { PostgresNodeRepository(store: self.store) }
    package var migrator: Migrator { Migrator(store: self.store) }
}
