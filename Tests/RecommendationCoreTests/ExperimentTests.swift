import RecommendationCore
import Testing

@Suite("Experiments")
struct ExperimentTests {
    private static let users = (0..<20_000).map { User.ID(trusted: "u\($0)") }

    private static func experiment(
        _ weights: [Int],
        id: String = "e1",
        share: Int = 10_000,
        salt: UInt64 = 7,
        layer: String = "l1",
        beside taken: [Buckets] = []
    ) -> Experiment {
        let time = Timestamp(seconds: 0)
        return Experiment(
            id: id,
            surface: "home",
            layer: layer,
            salt: salt,
            variants: weights.enumerated().map { Experiment.Variant(name: "v\($0)", weight: $1) },
            design: Experiment.Design(metric: .clickThrough),
            users: Buckets().sharing([share], beside: taken)!,
            slots: Buckets().sharing(weights)!,
            startedAt: time,
            weighedAt: time
        )
    }

    private static func assigned(_ experiment: Experiment, tenant: Tenant.ID = .default) -> [String?] {
        let draw = experiment.draw(tenant: tenant)
        return self.users.map { user in experiment.variant(of: user, draw).map { experiment.variants[$0].name } }
    }

    @Test("users are in variants by their weights, each time the same, and whoever is not in it is in none")
    func weights() {
        let experiment = Self.experiment([5_000, 3_000, 2_000], share: 4_000)
        let assigned = Self.assigned(experiment)
        #expect(assigned == Self.assigned(experiment))
        let counts = Dictionary(grouping: assigned, by: { $0 }).mapValues(\.count)
        for (name, expected) in [(nil, 12_000), ("v0", 4_000), ("v1", 2_400), ("v2", 1_600)] as [(String?, Int)] {
            #expect(abs((counts[name] ?? 0) - expected) < 250, "\(name ?? "none"): \(counts)")
        }
    }

    @Test("another salt, id or tenant is another draw, which says nothing of the first")
    func independence() {
        let first = Self.assigned(Self.experiment([5_000, 5_000]))
        for other in [
            Self.assigned(Self.experiment([5_000, 5_000], salt: 8)),
            Self.assigned(Self.experiment([5_000, 5_000], id: "e2")),
            Self.assigned(Self.experiment([5_000, 5_000]), tenant: Tenant.ID(trusted: "t2")),
        ] {
            let same = zip(first, other).count { $0 == $1 }
            #expect((9_600...10_400).contains(same), "\(same)")
        }
    }

    @Test("a new variant takes what nobody has, and moves nobody else")
    func newVariant() {
        var experiment = Self.experiment([3_000, 3_000])
        let before = Self.assigned(experiment)
        experiment.variants.append(Experiment.Variant(name: "v2", weight: 4_000))
        experiment.slots = experiment.slots.sharing([3_000, 3_000, 4_000])!
        let after = Self.assigned(experiment)
        #expect(zip(before, after).allSatisfy { $0 == nil || $0 == $1 })
        #expect(after.allSatisfy { $0 != nil })
        // Who gives up a part keeps the rest.
        experiment.slots = experiment.slots.sharing([1_000, 3_000, 6_000])!
        let last = Self.assigned(experiment)
        #expect(zip(after, last).allSatisfy { $0 == $1 || ($0 == "v0" && $1 == "v2") })
        #expect(experiment.slots.sharing([5_000, 5_000, 1]) == nil)
    }

    @Test("experiments of one layer share no user, and those of different layers are independent")
    func layers() {
        let first = Self.experiment([5_000, 5_000], share: 6_000)
        let second = Self.experiment([10_000], id: "e2", share: 4_000, beside: [first.users])
        let other = Self.experiment([10_000], id: "e3", share: 5_000, layer: "l2")
        let (a, b, c) = (Self.assigned(first), Self.assigned(second), Self.assigned(other))
        #expect(zip(a, b).allSatisfy { ($0 == nil) != ($1 == nil) })
        let both = zip(a, c).count { $0 != nil && $1 != nil }
        #expect((5_700...6_300).contains(both), "\(both)")
        #expect(Buckets().sharing([1], beside: [first.users, second.users]) == nil)
    }

    @Test("in random changes of weights nobody moves who need not, and every place has its share", arguments: 1...40)
    func property(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var buckets = Buckets()
        for _ in 0..<12 {
            var left = Buckets.count
            let counts = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                let count = Int.random(in: 0...left, using: &random)
                left -= count
                return count
            }
            let before = (0..<Buckets.count).map(buckets.place(of:))
            let next = try #require(buckets.sharing(counts))
            let after = (0..<Buckets.count).map(next.place(of:))
            for (place, count) in counts.enumerated() {
                #expect(next.count(of: place) == count)
                let kept = zip(before, after).count { $0 == place && $1 == place }
                #expect(kept == min(count, buckets.count(of: place)))
            }
            #expect(Buckets(next.ranges) == next)
            buckets = next
        }
    }

    @Test("users that were nobody's are given alike where all grow in proportion, and not where one does")
    func alike() throws {
        let before = try #require(Buckets().sharing([2_000, 1_000]))
        #expect(before.isGivenAlike(since: Buckets()))
        #expect(try #require(before.sharing([4_000, 2_000])).isGivenAlike(since: before))
        #expect(try #require(before.sharing([1_500, 1_500])).isGivenAlike(since: before))
        #expect(!(try #require(before.sharing([2_000, 3_000])).isGivenAlike(since: before)))
        #expect(!(try #require(before.sharing([2_000, 1_000, 1_000])).isGivenAlike(since: before)))
    }

    @Test("ranges that are not in order, or beyond the count, are none")
    func stored() {
        func range(_ first: Int, _ end: Int, _ place: Int = 0) -> Buckets.Range {
            Buckets.Range(first: first, end: end, place: place)
        }
        #expect(Buckets([range(0, 5), range(5, 9, 1)]) != nil)
        for wrong in [
            [range(5, 5)], [range(0, 5), range(4, 6)], [range(0, 10_001)], [range(-1, 3)], [range(0, 1, -1)],
        ] {
            #expect(Buckets(wrong) == nil, "\(wrong)")
        }
    }

    /// The same numbers from the same seed.
    private struct SplitMix64: RandomNumberGenerator {
        private var state: UInt64

        init(seed: UInt64) { self.state = seed }

        mutating func next() -> UInt64 {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var z = self.state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
