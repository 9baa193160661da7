package import Logging
import Postgres
import PostgresAdapters
package import RecommendationCore
package import Training

/// The store for the length of one command of the shell.
package struct StoreSession: Sendable {
    let store: PostgresStore
    let settings: ModelSettings
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
            return try await body(
                StoreSession(store: PostgresStore(client: client), settings: settings.models, log: log)
            )
        }
    }

    package var models: any ModelRepository { PostgresModelRepository(store: self.store) }
    package var routes: any ModelRouteRepository { PostgresModelRepository(store: self.store) }
    package var data: any TrainingDataRepository { PostgresTrainingData(store: self.store) }
    package var keys: any APIKeyRepository { PostgresAPIKeyRepository(store: self.store) }
    package var imports: any ImportRepository { PostgresImportRepository(store: self.store) }
    package var exports: any ExportRepository { PostgresExportRepository(store: self.store) }
    package var nodes: any NodeRepository { PostgresNodeRepository(store: self.store) }

    /// Puts models into service. The nodes hear of it by their own reads of the control log, each within a second.
    package var rollout: ModelRollout {
        ModelRollout(
            models: self.models,
            routes: self.routes,
            nodes: self.nodes,
            comparison: self.settings.comparison,
            log: self.log,
            wallClock: WallClock.now
        )
    }

    /// Applies the migrations that are pending, or only says which are.
    package func migrate(
        dryRun: Bool = false
    ) async throws(RepositoryError) -> (applied: [String], pending: [String], ahead: [String]) {
        let report = try await Migrator(store: self.store).migrate(dryRun: dryRun)
        return (report.applied, report.pending, report.ahead)
    }
}
