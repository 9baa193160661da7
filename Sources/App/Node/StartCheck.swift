package import Logging
import RecommendationCore

/// What `vireo serve` looks at before it starts: a schema that is not migrated is a mistake, a store that cannot be reached
/// yet is not.
package struct StartCheck: Sendable {
    package enum Failure: Error, CustomStringConvertible, Sendable {
        case pending([String])
        case schema(String)

        package var description: String {
            switch self {
            case .pending(let names): "migrations are pending: \(names.joined(separator: ", ")); run vireo migrate"
            case .schema(let reason): reason
            }
        }
    }

    private let settings: Settings
    private let log: Logger

    package init(settings: Settings, log: Logger) {
        self.settings = settings
        self.log = log
    }

    package func run() async throws {
        do {
            let report = try await StoreSession.with(self.settings, log: self.log) { session in
                try await session.migrate(dryRun: true)
            }
            guard report.pending.isEmpty else { throw Failure.pending(report.pending) }
            if !report.ahead.isEmpty {
                self.log.warning(
                    "the schema is of a newer program, beside which this one serves",
                    metadata: ["migrations": "\(report.ahead.joined(separator: ", "))"]
                )
            }
        } catch RepositoryError.conflict(let reason) {
            throw Failure.schema(reason)
        } catch let error as RepositoryError {
            self.log.warning("PostgreSQL cannot be asked yet; the node starts without", metadata: ["error": "\(error)"])
        }
    }
}
