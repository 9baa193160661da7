/// Which history of writes a server's data is the result of, and how far it has come: what Redis calls a replication id and
/// an offset.
///
/// A server begins a history of its own when it starts, when it is promoted, and when it stops to follow another; a replica
/// takes over its primary's. So data that is of the same history as before, on a primary, is what was there before and what
/// was written since: keys may have been deleted, by FLUSHALL or eviction, and none is older than it was.
public struct DataHistory: Sendable, Hashable {
    /// Given at random when the history began.
    public let id: String
    /// Grows with what is written; it stands still where no replica has ever connected.
    public let offset: UInt64

    /// A history at an offset.
    public init(id: String, offset: UInt64) {
        self.id = id
        self.offset = offset
    }

    /// Whether this is what another has become.
    func continues(_ other: DataHistory) -> Bool {
        self.id == other.id && self.offset >= other.offset
    }
}
