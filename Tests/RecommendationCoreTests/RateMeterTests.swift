import RecommendationCore
import Testing

@Suite("meter of a limit")
struct RateMeterTests {
    @Test("numbers out of range are no limit")
    func range() {
        #expect(RateLimit(rate: 0, burst: 1) == nil)
        #expect(RateLimit(rate: 1, burst: 0) == nil)
        #expect(RateLimit(rate: 1_000_001, burst: 1) == nil)
        #expect(RateLimit(rate: 1, burst: 1_000_001) == nil)
        #expect(RateLimit(rate: 1_000_000, burst: 1_000_000) != nil)
    }

    @Test("a burst at once, then one each time that one has leaked, to the microsecond")
    func known() throws {
        let limit = try #require(RateLimit(rate: 3, burst: 2))
        var meter = RateMeter()
        #expect(meter.take(upTo: 5, of: limit, at: 1_000) == 2)
        #expect(meter.wait(of: limit) == 333_334)
        #expect(meter.take(upTo: 1, of: limit, at: 334_333) == 0)
        #expect(meter.wait(of: limit) == 1)
        #expect(meter.take(upTo: 1, of: limit, at: 334_334) == 1)
        // Not used for long: no more than the burst.
        #expect(meter.take(upTo: 9, of: limit, at: 1_000_000_000_000) == 2)
        // A clock that jumped back costs nothing but the time until it goes on.
        #expect(meter.take(upTo: 1, of: limit, at: 5) == 0)
        #expect(meter.wait(of: limit) == 333_334)
        #expect(meter.take(upTo: 1, of: limit, at: 333_339) == 1)
    }

    @Test("a share takes one at once, however small it is, and its part in the long run")
    func shares() throws {
        let limit = try #require(RateLimit(rate: 10, burst: 2))
        var meter = RateMeter()
        #expect(meter.take(upTo: 5, of: limit, shares: 4, at: 0) == 1)
        #expect(meter.wait(of: limit) == 400_000)
        var taken = 0
        for time in stride(from: Int64(0), through: 20_000_000, by: 1_000) {
            taken += meter.take(upTo: 1, of: limit, shares: 4, at: time)
        }
        #expect(taken == 50)
        // Alone again: the whole of it.
        #expect(meter.take(upTo: 5, of: limit, at: 30_000_000) == 2)
    }

    /// The generator's seed is the case.
    @Test("within any time no more than rate × time + burst; who waits as long as is said gets in", arguments: 0..<200)
    func property(_ seed: UInt64) throws {
        var random = Random(seed: seed)
        let rate = Int.random(in: 1...(seed % 2 == 0 ? 20 : 100_000), using: &random)
        let burst = Int.random(in: 1...(seed % 3 == 0 ? 3 : 5_000), using: &random)
        let shares = Int.random(in: 1...5, using: &random)
        let limit = try #require(RateLimit(rate: rate, burst: burst))
        var meter = RateMeter()
        var now: Int64 = .random(in: 0...(1 << 50), using: &random)
        var taken: [(at: Int64, count: Int)] = []
        for _ in 0..<300 {
            now += .random(in: 0...(4_000_000 / Int64(rate) + 1), using: &random)
            let wanted = Int.random(in: 1...20, using: &random)
            let granted = meter.take(upTo: wanted, of: limit, shares: shares, at: now)
            #expect((0...wanted).contains(granted))
            taken.append((now, granted))
            let wait = meter.wait(of: limit)
            if granted < wanted { #expect(wait > 0) }
            guard granted < wanted, Bool.random(using: &random) else { continue }
            var early = meter
            #expect(early.take(upTo: 1, of: limit, shares: shares, at: now + wait - 1) == 0)
            now += wait
            #expect(meter.take(upTo: 1, of: limit, shares: shares, at: now) == 1)
            taken.append((now, 1))
        }
        // In millionths of a call, times the shares, so that no rounding hides anything.
        let bound = max(burst, shares) * 1_000_000
        // How far the calls until a time are ahead of the rate, and how far they were at the least before that.
        var (count, least) = (0, 0)
        for (time, granted) in taken {
            let leaked = rate * Int(time - taken[0].at)
            least = min(least, count * 1_000_000 * shares - leaked)
            count += granted
            #expect(count * 1_000_000 * shares - leaked - least <= bound)
        }
    }

    private struct Random: RandomNumberGenerator {
        private var state: UInt64

        init(seed: UInt64) { self.state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

        mutating func next() -> UInt64 {
            self.state ^= self.state << 13
            self.state ^= self.state >> 7
            self.state ^= self.state << 17
            return self.state &* 0x2545_F491_4F6C_DD1D
        }
    }
}
