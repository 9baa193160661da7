package import Logging
import Metrics
package import Postgres
import Synchronization

/// A streaming replica that takes reads off the primary, as far as it is able to.
///
/// It is never trusted by itself: whoever asks says in the statement what an answer has to be as new as, and goes to the
/// primary where there is none. A replica that is dead costs one short wait, and then none for a while.
package final class PostgresReplica: Sendable {
    package let client: PostgresClient
    private let patience: Duration
    private let health = Mutex(StoreHealth())
    private let log: Logger
    private let used = PostgresReplica.counter("used")
    private let behind = PostgresReplica.counter("behind")
    private let failed = PostgresReplica.counter("failed")
    private let skipped = PostgresReplica.counter("skipped")

    /// - Parameter patience: The longest wait for an answer, connecting included: the primary is there too.
    package init(client: PostgresClient, patience: Duration = .milliseconds(250), log: Logger) {
        self.client = client
        self.patience = patience
        self.log = log
    }

    /// Whether it is left alone now, so that nothing need be made ready for a question.
    var isResting: Bool {
        let isResting = self.health.withLock { $0.isResting(at: .now) }
        if isResting { self.skipped.increment() }
        return isResting
    }

    /// The rows of a statement that has none where the replica is behind; nil where it is, or cannot answer.
    func rows<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async -> [Row]? {
        guard self.health.withLock({ $0.callerCame(at: .now) }) else { return nil }
        do throws(PostgresError) {
            let rows = try await self.client.read(statement, bindings, timeout: self.patience, decode: decode)
            self.health.withLock { $0.answered() }
            if rows.isEmpty { self.behind.increment() } else { self.used.increment() }
            return rows.isEmpty ? nil : rows
        } catch {
            self.health.withLock { $0.failed(at: .now) }
            self.failed.increment()
            self.log.debug("the replica does not answer", metadata: ["error": "\(error.shortDescription)"])
            return nil
        }
    }

    private static func counter(_ result: String) -> Counter {
        Counter(label: "vireo_replica_reads_total", dimensions: [("result", result)])
    }
}
