/// Why the journal could not be read.
public enum JournalError: Error, Sendable, Equatable {
    case unavailable(String)
}

/// One page of the journal of invalidations.
public struct JournalPage: Sendable, Equatable {
    /// One row.
    public struct Row: Sendable, Equatable {
        /// The row's own id, unique, for telling repeats.
        public let id: Int64
        /// The transaction that wrote it.
        public let transaction: UInt64
        /// What it says.
        public let invalidation: Invalidation

        /// A row of these parts.
        public init(id: Int64, transaction: UInt64, invalidation: Invalidation) {
            self.id = id
            self.transaction = transaction
            self.invalidation = invalidation
        }
    }

    /// Every visible row from the asked position on; some may have come before.
    public let rows: [Row]
    /// Where the next poll begins: the oldest transaction that was still running.
    public let next: UInt64

    /// A page of these parts.
    public init(rows: [Row], next: UInt64) {
        self.rows = rows
        self.next = next
    }
}

/// The journal of invalidations in PostgreSQL.
///
/// A position is a transaction id H: every row of a transaction below H is known. A poll reads each visible row at or above
/// H; its own H is the oldest transaction then running (`pg_snapshot_xmin`). Rows come twice, and none is missed.
public protocol Journal: Sendable {
    /// Reads from a position; nil: everything that is kept.
    func page(from position: UInt64?) async throws(JournalError) -> JournalPage
    /// A position that every transaction begun from now on is at or above.
    func head() async throws(JournalError) -> UInt64
    /// Makes room ahead and drops what is past retention; called by the relay now and then.
    func maintain() async throws(JournalError)
}

/// Lets one node of the fleet do a job.
public protocol Leadership: Sendable {
    /// Whether this node is the leader now, becoming it if nobody is.
    func isLeader() async -> Bool
    /// Gives the job up, so that another node can take it.
    func resign() async
}
