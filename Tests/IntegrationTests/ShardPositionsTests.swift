import Caching
import Redis
import Testing

@testable import RedisAdapters

@Suite("How far the relay has brought the shards of a cluster")
struct ShardPositionsTests {
    private static let shards = [RedisShard(tag: "vireo:bus"), RedisShard(tag: "1"), RedisShard(tag: "2")]

    private static func reply(_ xmax: Int?) -> HeartbeatReply {
        HeartbeatReply(
            relayed: xmax.flatMap { JournalPosition("\($0):\($0):") },
            controlHead: xmax.map { Int64($0) },
            milliseconds: 5,
            pass: xmax.map { RelayPass("pass-\($0)") }
        )
    }

    /// What is told of shards after one another.
    private static func told(_ rounds: [[Int?]], of shards: [RedisShard] = Self.shards) -> [UInt64?] {
        let positions = ShardPositions()
        return rounds.map { positions.merged($0.map(Self.reply), of: shards)?.relayed?.xmax }
    }

    @Test("is what all of them have reached")
    func common() {
        #expect(Self.told([[7, 5, 9], [7, 7, 9], [8, 8, 9]]) == [5, 7, 8])
        let merged = ShardPositions().merged([7, 5, 9].map(Self.reply), of: Self.shards)
        #expect(merged?.controlHead == 9 && merged?.milliseconds == 5 && merged?.history == nil)
        #expect(merged?.pass?.relay == "pass-7", "the first has the bus")
    }

    @Test("is nothing where one of them has none")
    func missing() {
        #expect(Self.told([[7, nil, 9], [7, 7, 9]]) == [nil, 7])
    }

    @Test("is nothing, once, where one has gone back, though it is not the one that is behind")
    func wentBack() {
        #expect(Self.told([[5, 9, 9], [5, 7, 9], [5, 9, 9]]) == [5, nil, 5])
        #expect(Self.told([[5, 9, 9], [5, nil, 9], [5, nil, 9], [5, 9, 9]]) == [5, nil, nil, 5])
    }

    @Test("a shard that is new is not one that has gone back")
    func grown() throws {
        let positions = ShardPositions()
        _ = positions.merged([7, 5].map(Self.reply), of: [Self.shards[0], Self.shards[1]])
        let merged = positions.merged([7, 4].map(Self.reply), of: [Self.shards[0], Self.shards[2]])
        #expect(merged?.relayed?.xmax == 4)
    }

    @Test("of two that neither reaches the other nothing is known of both")
    func apart() throws {
        // Each knows of a transaction that was in progress for the other.
        let one = try #require(JournalPosition("5:9:5"))
        let other = try #require(JournalPosition("6:9:6"))
        #expect(ShardPositions.common([one, other]) == nil)
        #expect(ShardPositions.common([one, one]) == one && ShardPositions.common([]) == nil)
    }
}
