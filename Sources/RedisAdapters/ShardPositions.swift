import Caching
import Redis
import Synchronization

/// How far the relay has brought each shard, as the heartbeats tell it, made one.
///
/// What holds of the whole is what holds of every part: the position that all have reached. Data that went back in one of them
/// would not show in that, so each is held against what it said before; where one has gone back the whole has no position, which
/// counts as data that went back. A shard that is new has none either, until the relay has been there.
final class ShardPositions: Sendable {
    private let known = Mutex<[RedisShard: JournalPosition]>([:])

    /// - Returns: Nil for no replies.
    func merged(_ replies: [HeartbeatReply], of shards: [RedisShard]) -> HeartbeatReply? {
        guard let first = replies.first else { return nil }
        let hasGoneBack = self.known.withLock { known in
            let before = known
            known = [:]
            var hasGoneBack = false
            for (shard, reply) in zip(shards, replies) {
                if let last = before[shard], reply.relayed.map({ $0.reaches(last) }) != true { hasGoneBack = true }
                known[shard] = reply.relayed
            }
            return hasGoneBack
        }
        return HeartbeatReply(
            relayed: hasGoneBack ? nil : Self.common(replies.map(\.relayed)),
            controlHead: replies.compactMap(\.controlHead).max(),
            milliseconds: first.milliseconds,
            pass: first.pass
        )
    }

    /// What all have reached; nil where one has none, or where none of them is reached by all others.
    static func common(_ positions: [JournalPosition?]) -> JournalPosition? {
        let reached = positions.compactMap(\.self)
        guard reached.count == positions.count else { return nil }
        return reached.first { lowest in reached.allSatisfy { $0.reaches(lowest) } }
    }
}
