/// What a node that follows the journal itself has read of it.
public struct JournalPoll: Sendable, Equatable {
    /// What came after the asked position; a key may come more than once.
    public let invalidations: [Invalidation]
    /// Where the next poll begins: the snapshot that this one read.
    public let next: JournalPosition
    /// False: there was more than the limit, and some of it is left out, or rows are gone that nobody can name any more.
    public let isWhole: Bool

    /// A poll of these parts.
    public init(invalidations: [Invalidation], next: JournalPosition, isWhole: Bool) {
        self.invalidations = invalidations
        self.next = next
        self.isWhole = isWhole
    }
}

/// The journal as a node reads it that hears nothing over Redis.
public protocol JournalTail: Sendable {
    /// Reads from a position, at most `limit` rows; nil: none, only where the next poll begins.
    ///
    /// Only the primary of the incarnation that keys are made for answers: what a standby, or another database under the same
    /// address, holds proves nothing. Throws there, and where the journal cannot be read.
    func poll(from position: JournalPosition?, limit: Int) async throws(JournalError) -> JournalPoll
}
