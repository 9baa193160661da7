/// Why the journal could not be read.
public enum JournalError: Error, Sendable, Equatable {
    case unavailable(String)
}

/// How far the journal is known: a snapshot of PostgreSQL's transactions, as `pg_current_snapshot` gives it.
///
/// A row is known if its transaction is visible in the snapshot. What comes after is exactly the rows of transactions at or
/// above `xmax`, and of those that were in progress: however long a transaction runs, in whatever database, no row is missed,
/// and none comes twice.
public struct JournalPosition: Sendable, Equatable {
    /// The text of the snapshot, `xmin:xmax:xip,xip`.
    public let text: String
    /// Every transaction at or above it came later.
    public let xmax: UInt64
    /// Transactions below `xmax` that were in progress.
    public let inProgress: Set<UInt64>

    /// The position of a text; nil for any other text.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let xmin = UInt64(parts[0]), let xmax = UInt64(parts[1]), xmin <= xmax else {
            return nil
        }
        var inProgress = Set<UInt64>()
        for part in parts[2].split(separator: ",") {
            guard let transaction = UInt64(part) else { return nil }
            inProgress.insert(transaction)
        }
        self.text = text
        self.xmax = xmax
        self.inProgress = inProgress
    }

    /// Whether every row of a transaction is known at this position.
    public func covers(_ transaction: UInt64) -> Bool {
        transaction < self.xmax && !self.inProgress.contains(transaction)
    }

    /// Whether every row that is known at another position is known at this one. It takes more than an `xmax` as high: what
    /// was in progress here may have committed before the other was read, without anything later having begun.
    public func reaches(_ other: JournalPosition) -> Bool {
        other.xmax <= self.xmax && !self.inProgress.contains { other.covers($0) }
    }
}

/// One page of the journal of invalidations.
public struct JournalPage: Sendable, Equatable {
    /// What came after the asked position: for each key its highest version.
    public let invalidations: [Invalidation]
    /// Where the next poll begins.
    public let next: JournalPosition
    /// The last id of the control log, from the same snapshot.
    public let controlHead: Int64

    /// A page of these parts.
    public init(invalidations: [Invalidation], next: JournalPosition, controlHead: Int64) {
        self.invalidations = invalidations
        self.next = next
        self.controlHead = controlHead
    }
}

/// The journal of invalidations in PostgreSQL.
public protocol Journal: Sendable {
    /// Reads from a position; nil: everything that is kept.
    func page(from position: JournalPosition?) async throws(JournalError) -> JournalPage
    /// The position at which everything committed by now is known.
    func head() async throws(JournalError) -> JournalPosition
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
