import RecommendationCore
import Testing

@Suite("ModelCanary")
struct ModelCanaryTests {
    private static let users = (0..<20_000).map { User.ID(trusted: "u\($0)") }

    @Test("the share of the users is that of the share", arguments: [1, 50, 1_000, 5_000, 9_999])
    func share(_ share: Int) {
        let canary = ModelCanary(number: 43, share: share)
        let expected = Double(Self.users.count * share) / 10_000
        let taken = Double(Self.users.count { canary.takes($0) })
        // Six standard deviations.
        #expect((taken - expected).magnitude < 6 * expected.squareRoot() + 1)
    }

    @Test("a larger share keeps the users of a smaller one, and another version takes others")
    func stable() {
        let small = ModelCanary(number: 43, share: 1_000)
        let large = ModelCanary(number: 43, share: 3_000)
        let other = ModelCanary(number: 44, share: 1_000)
        #expect(Self.users.allSatisfy { !small.takes($0) || large.takes($0) })
        let both = Double(Self.users.count { small.takes($0) && other.takes($0) })
        // Independent: a hundredth of all.
        #expect((both - 200).magnitude < 6 * 200.0.squareRoot())
    }

    @Test("the users of a share are the same in every build")
    func knownAnswers() {
        let canary = ModelCanary(number: 7, share: 5_000)
        let taken = Self.users.prefix(16).map { canary.takes($0) ? "1" : "0" }.joined()
        #expect(taken == "0100011011001011")
    }

    @Test("users whose ids are equal as text and of other bytes are two")
    func bytes() {
        let canaries = (0..<64).map { ModelCanary(number: $0, share: 5_000) }
        let (composed, decomposed) = (User.ID(trusted: "caf\u{e9}"), User.ID(trusted: "cafe\u{301}"))
        #expect(canaries.contains { $0.takes(composed) != $0.takes(decomposed) })
    }
}

@Suite("ModelGuard")
struct ModelGuardTests {
    private func version(_ metrics: [String: Double], against baseline: ModelBaseline?) -> ModelVersion {
        ModelVersion(
            number: 43,
            tenant: .default,
            state: .ready,
            recipe: "test",
            builtAt: Timestamp(seconds: 0),
            interactions: 0,
            users: 0,
            items: 0,
            bytes: 0,
            checksum: 0,
            metrics: metrics,
            baseline: baseline
        )
    }

    @Test("a figure may be as much below as is allowed, and no more")
    func allowance() {
        let baseline = ModelBaseline(number: 42, metrics: ["ndcg_at_10": 0.2, "recall_at_10": 0.4])
        let comparison = ModelGuard(allowance: 0.25)
        func finding(_ ndcg: Double, _ recall: Double) -> ModelGuard.Finding {
            comparison.finding(
                self.version(["ndcg_at_10": ndcg, "recall_at_10": recall], against: baseline),
                active: 42
            )
        }
        #expect(finding(0.3, 0.5) == .passed)
        #expect(finding(0.15000001, 0.30000001) == .passed)
        for (ndcg, recall, metric) in [(0.149, 0.4, "ndcg_at_10"), (0.2, 0.29, "recall_at_10")] {
            guard case .failed(let shortfall) = finding(ndcg, recall) else {
                Issue.record("\(metric) passed")
                continue
            }
            #expect(shortfall.metric == metric && shortfall.candidate == 43 && shortfall.active == 42)
            #expect(shortfall.value == (metric == "ndcg_at_10" ? ndcg : recall))
            #expect(shortfall.allowance == 0.25)
        }
    }

    @Test("what was not measured on the same events is not compared")
    func notCompared() {
        let comparison = ModelGuard()
        let good = ModelBaseline(number: 42, metrics: ["ndcg_at_10": 0.2])
        let bad = self.version(["ndcg_at_10": 0.01], against: good)
        if case .failed = comparison.finding(bad, active: 42) {} else { Issue.record("it was let through") }
        #expect(comparison.finding(bad, active: 41) == .notCompared)
        #expect(comparison.finding(bad, active: nil) == .notCompared)
        #expect(comparison.finding(self.version(["ndcg_at_10": 0.01], against: nil), active: 42) == .notCompared)
        #expect(comparison.finding(self.version(["coverage": 1], against: good), active: 42) == .notCompared)
        #expect(comparison.finding(self.version([:], against: good), active: 42) == .notCompared)
    }
}

@Suite("ModelVersion")
struct ModelVersionTests {
    @Test("a name is read back, and nothing else is")
    func names() {
        for number in [1, 42, Int64.max] { #expect(ModelVersion.number(ModelVersion.name(number)) == number) }
        for name in ["", "m", "m0", "m-1", "m01", "m+1", "m 1", "b1", "1", "m1 ", "m9223372036854775808", "é1"] {
            #expect(ModelVersion.number(name) == nil, "\(name)")
        }
    }

    @Test("how many users a version serves")
    func percent() {
        let standing = ModelStanding(active: 42, canary: ModelCanary(number: 43, share: 1_250), epoch: 1)
        #expect(standing.percent(of: 42) == 87.5)
        #expect(standing.percent(of: 43) == 12.5)
        #expect(standing.percent(of: 41) == 0)
        #expect(ModelStanding.initial.percent(of: 42) == 0)
    }
}
