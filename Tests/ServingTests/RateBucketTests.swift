import RecommendationCore
import Testing

@testable import Serving

@Suite("a node's part of a limit")
struct RateBucketTests {
    private static let start = ContinuousClock.now

    private static func bucket(rate: Int, burst: Int) throws -> RateBucket {
        RateBucket(try #require(RateLimit(rate: rate, burst: burst)), at: self.start)
    }

    private static func at(_ milliseconds: Int) -> ContinuousClock.Instant { self.start + .milliseconds(milliseconds) }

    private static func taken(_ decision: RateBucket.Decision, _ draw: Int? = nil) -> RateBucket.Taken {
        RateBucket.Taken(decision, draw: draw)
    }

    @Test("the first waits for a draw, those after it do not, and a new one is made ahead")
    func drawsAhead() throws {
        var bucket = try Self.bucket(rate: 1_000, burst: 1_000)
        #expect(bucket.take(at: Self.at(0), nodes: 2) == Self.taken(.wait, 50))
        // No second draw beside it.
        #expect(bucket.take(at: Self.at(0), nodes: 2) == Self.taken(.wait))
        bucket.drew(RateDraw(granted: 50, wait: .zero), at: Self.at(1))
        for _ in 0..<24 { #expect(bucket.take(at: Self.at(2), nodes: 2) == Self.taken(.admitted)) }
        #expect(bucket.take(at: Self.at(2), nodes: 2) == Self.taken(.admitted, 25))
        for _ in 0..<25 { #expect(bucket.take(at: Self.at(3), nodes: 2) == Self.taken(.admitted)) }
        #expect(bucket.take(at: Self.at(3), nodes: 2) == Self.taken(.wait))
        bucket.drew(RateDraw(granted: 25, wait: .zero), at: Self.at(4))
        #expect(bucket.take(at: Self.at(4), nodes: 2) == Self.taken(.admitted, 26))
    }

    @Test("what is not spent within a second is given up")
    func expires() throws {
        var bucket = try Self.bucket(rate: 1_000, burst: 1_000)
        _ = bucket.take(at: Self.at(0), nodes: 1)
        bucket.drew(RateDraw(granted: 100, wait: .zero), at: Self.at(50))
        #expect(bucket.take(at: Self.at(999), nodes: 1) == Self.taken(.admitted))
        #expect(bucket.take(at: Self.at(1_000), nodes: 1) == Self.taken(.wait, 100))
    }

    @Test("where there is none left it is refused without asking, until there is one")
    func refuses() throws {
        var bucket = try Self.bucket(rate: 2, burst: 5)
        #expect(bucket.take(at: Self.at(0), nodes: 3) == Self.taken(.wait, 1))
        bucket.drew(RateDraw(granted: 0, wait: .milliseconds(400)), at: Self.at(10))
        #expect(bucket.take(at: Self.at(10), nodes: 3) == Self.taken(.refused(after: .milliseconds(400), .redis)))
        #expect(bucket.take(at: Self.at(409), nodes: 3) == Self.taken(.refused(after: .milliseconds(1), .redis)))
        #expect(bucket.take(at: Self.at(410), nodes: 3) == Self.taken(.wait, 1))
        bucket.drew(RateDraw(granted: 1, wait: .milliseconds(500)), at: Self.at(411))
        #expect(bucket.take(at: Self.at(411), nodes: 3) == Self.taken(.admitted))
    }

    @Test("where nobody answers the node goes by its share, and asks again after a second")
    func alone() throws {
        var bucket = try Self.bucket(rate: 10, burst: 6)
        #expect(bucket.take(at: Self.at(0), nodes: 3) == Self.taken(.wait, 1))
        bucket.failed(at: Self.at(100))
        for _ in 0..<2 { #expect(bucket.take(at: Self.at(100), nodes: 3) == Self.taken(.admitted)) }
        #expect(bucket.take(at: Self.at(100), nodes: 3) == Self.taken(.refused(after: .milliseconds(300), .local)))
        #expect(bucket.take(at: Self.at(400), nodes: 3) == Self.taken(.admitted))
        #expect(bucket.take(at: Self.at(1_100), nodes: 3) == Self.taken(.admitted, 1))
        #expect(bucket.take(at: Self.at(1_100), nodes: 3).draw == nil, "one at a time")
        bucket.failed(at: Self.at(1_200))
        // The share is not given anew with each failure.
        #expect(bucket.take(at: Self.at(1_200), nodes: 3).decision != .admitted)
        #expect(bucket.take(at: Self.at(2_200), nodes: 3) == Self.taken(.admitted, 1))
        bucket.drew(RateDraw(granted: 1, wait: .zero), at: Self.at(2_201))
        #expect(bucket.take(at: Self.at(2_201), nodes: 3) == Self.taken(.admitted))
        #expect(bucket.take(at: Self.at(2_201), nodes: 3) == Self.taken(.wait, 1))
    }

    @Test("what was not used after all is there for the next")
    func givesBack() throws {
        var bucket = try Self.bucket(rate: 1, burst: 1)
        _ = bucket.take(at: Self.at(0), nodes: 1)
        bucket.drew(RateDraw(granted: 1, wait: .seconds(1)), at: Self.at(0))
        #expect(bucket.take(at: Self.at(1), nodes: 1) == Self.taken(.admitted))
        bucket.giveBack(at: Self.at(1))
        #expect(bucket.take(at: Self.at(2), nodes: 1) == Self.taken(.admitted))
        #expect(bucket.take(at: Self.at(3), nodes: 1).decision == .refused(after: .milliseconds(997), .redis))
    }

    @Test("another limit holds at once")
    func adopts() throws {
        var bucket = try Self.bucket(rate: 1, burst: 1)
        _ = bucket.take(at: Self.at(0), nodes: 1)
        bucket.drew(RateDraw(granted: 0, wait: .seconds(1)), at: Self.at(0))
        bucket.adopt(try #require(RateLimit(rate: 100, burst: 100)), at: Self.at(1))
        #expect(bucket.take(at: Self.at(1), nodes: 1) == Self.taken(.wait, 10))
    }

    /// Nodes in steps of a millisecond, over one meter that answers some steps later. The seed is the case.
    @Test("all nodes together keep to rate × time + burst + max(nodes, rate / 10) at any time", arguments: 1...60)
    func fleet(_ seed: UInt64) throws {
        var random = Random(state: seed)
        let nodes = Int(random.next() % 4) + 1
        let limit = try #require(
            RateLimit(rate: Int(random.next() % 2_000) + 1, burst: Int(random.next() % 500) + 1)
        )
        var meter = RateMeter()
        var buckets = (0..<nodes).map { _ in RateBucket(limit, at: Self.start) }
        var draws: [(node: Int, wanted: Int, due: Int)] = []
        var admitted: [Int] = []
        let steps = 4_000
        for step in 0..<steps {
            let now = Self.at(step)
            for draw in draws where draw.due == step {
                let granted = meter.take(upTo: draw.wanted, of: limit, at: Int64(step) * 1_000)
                let wait = Duration.microseconds(meter.wait(of: limit))
                buckets[draw.node].drew(RateDraw(granted: granted, wait: wait), at: now)
            }
            draws.removeAll { $0.due <= step }
            var count = 0
            // Quiet and rushes in turn.
            let calls = step / 300 % 2 == 0 ? 8 : 1
            for node in buckets.indices {
                for _ in 0..<Int(random.next() % UInt64(calls + 1)) {
                    let taken = buckets[node].take(at: now, nodes: nodes)
                    if taken.decision == .admitted { count += 1 }
                    if let draw = taken.draw { draws.append((node, draw, step + 1 + Int(random.next() % 5))) }
                }
            }
            admitted.append(count)
        }
        let most = Double(limit.burst) + max(Double(nodes), Double(limit.rate) / 10)
        // How far the calls until a time are ahead of the rate, and how far they were at the least before that.
        var (ahead, least) = (0.0, 0.0)
        for (step, count) in admitted.enumerated() {
            least = min(least, ahead - Double(limit.rate) * Double(step) / 1_000)
            ahead += Double(count)
            let rushed = ahead - Double(limit.rate) * Double(step + 1) / 1_000 - least
            #expect(rushed <= most + 0.001, "at \(step) ms")
        }
        // Nobody is kept out of what is there: what expires unspent is a tenth of it at most.
        #expect(Double(admitted.reduce(0, +)) >= 0.4 * Double(limit.rate) * Double(steps) / 1_000 - 1)
    }

    private struct Random {
        var state: UInt64

        mutating func next() -> UInt64 {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (self.state ^ self.state >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }
    }
}
