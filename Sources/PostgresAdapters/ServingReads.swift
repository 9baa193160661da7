package import Postgres
import Synchronization

/// Reads of the primary for requests, which would rather be answered without the store in time than by it too late.
///
/// A store that takes connections and says nothing costs those who meet it the patience, and then, for a second at a time, only
/// one of them.
package final class ServingReads: Sendable {
    /// Reads in a row without an answer that it takes: one may be slow by itself.
    private static let unanswered = 2

    private let client: PostgresClient
    private let patience: Duration
    private let health = Mutex(
        StoreHealth(patience: ServingReads.unanswered, firstRest: .seconds(1), longestRest: .seconds(1))
    )

    /// - Parameter patience: How long a read may take, from the wait for a connection on.
    package init(client: PostgresClient, patience: Duration) {
        self.client = client
        self.patience = patience
    }

    /// Reads rows.
    ///
    /// - Throws: `timedOut` also where the store has not answered others.
    func read<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async throws(PostgresError) -> [Row] {
        guard self.health.withLock({ $0.callerCame(at: .now) }) else { throw .timedOut }
        let start = ContinuousClock.now
        do throws(PostgresError) {
            let rows = try await self.client.read(statement, bindings, timeout: self.patience, decode: decode)
            self.health.withLock { $0.answered() }
            return rows
        } catch {
            self.health.withLock { health in
                switch error {
                case .timedOut, .poolTimeout: health.failed(at: .now)
                case .cancelled: health.gaveUp(at: .now)
                // A connection that is taken and never greeted, too.
                case .connectionFailed where ContinuousClock.now - start >= self.patience: health.failed(at: .now)
                // It said something, or it is known at once that there is nobody.
                default: health.answered()
                }
            }
            throw error
        }
    }
}
