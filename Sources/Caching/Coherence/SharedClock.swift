/// Redis time by this node's own clock: where the answers of heartbeats put it.
///
/// Redis read its clock somewhere between the sending of a heartbeat and its answer; the longer that took the less it tells,
/// and one that this node stood still over moves nothing that is known better (F. Cristian, "Probabilistic clock
/// synchronization", Distributed Computing 3, 1989).
struct SharedClock {
    /// Redis time minus own time, in milliseconds; nil until the first answer.
    private(set) var offset: Int64?

    /// An answer with Redis time in milliseconds, and own times of its heartbeat's sending and of its arrival.
    mutating func heard(_ milliseconds: Int64, sentAt: Int64, receivedAt: Int64) {
        let earliest = milliseconds - max(sentAt, receivedAt)
        let latest = milliseconds - sentAt
        self.offset = min(max(self.offset ?? (earliest + latest) / 2, earliest), latest)
    }
}
