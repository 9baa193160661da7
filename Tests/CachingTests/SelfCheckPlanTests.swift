import Testing
import VireoTestKit

@testable import Caching

@Suite("Self-check plan")
struct SelfCheckPlanTests {
    private let clock = ManualClock()

    private func write(_ version: Int64) -> SelfCheckSubject {
        .write(Invalidation(key: CacheKey(namespace: "i", owner: "t", member: "u"), version: version))
    }

    private static let denial = SelfCheckSubject.denial(Denial(owner: "t", kind: "item", name: "i1", epoch: 7))

    private static func answer(
        _ held: [Int64] = [],
        denies: Bool? = nil,
        proof: String = "bus",
        lease: Int64 = 1_000
    ) -> HeldAnswer {
        HeldAnswer(
            entries: held.map { HeldAnswer.Entry(field: "f", version: $0, ageMilliseconds: 10) },
            denies: denies,
            proof: proof,
            session: 1,
            leaseAgeMilliseconds: 100,
            leaseMilliseconds: lease
        )
    }

    @Test("a write is asked about after 1, 5 and 60 s, each once, in the order of the writes")
    func times() {
        var plan = SelfCheckPlan(interval: .milliseconds(100))
        let start = self.clock.now
        _ = plan.noted(self.write(5), at: start)
        _ = plan.noted(self.write(6), at: start.advanced(by: .milliseconds(100)))
        #expect(plan.pending == 2)
        let expected: [(milliseconds: Int, due: [(Int64, Int)])] = [
            (0, []), (999, []), (1_000, [(5, 0)]), (1_000, []), (1_100, [(6, 0)]), (4_999, []),
            (5_100, [(5, 1), (6, 1)]), (59_999, []), (60_000, [(5, 2)]), (90_000, [(6, 2)]), (1_000_000, []),
        ]
        for (milliseconds, due) in expected {
            let checks = plan.due(at: start.advanced(by: .milliseconds(milliseconds)))
            #expect(checks.map(\.subject.version) == due.map(\.0), "\(milliseconds)")
            #expect(checks.map(\.delay) == due.map(\.1), "\(milliseconds)")
        }
        #expect(plan.pending == 0)
    }

    @Test("one write an interval, and no more than can be waited with; a round takes a hundred questions")
    func bounded() {
        var plan = SelfCheckPlan(interval: .milliseconds(10))
        var now = self.clock.now
        var isTaken = plan.noted(self.write(1), at: now)
        #expect(isTaken)
        isTaken = plan.noted(self.write(2), at: now.advanced(by: .milliseconds(9)))
        #expect(!isTaken)
        for _ in 1..<SelfCheckPlan.capacity {
            now = now.advanced(by: .milliseconds(10))
            _ = plan.noted(self.write(3), at: now)
        }
        #expect(plan.pending == SelfCheckPlan.capacity)
        isTaken = plan.noted(self.write(4), at: now.advanced(by: .seconds(1)))
        #expect(!isTaken)
        let due = plan.due(at: now.advanced(by: .seconds(60)))
        #expect(due.count == SelfCheckPlan.batch)
        #expect(plan.pending == SelfCheckPlan.capacity)
    }

    @Test("each kind has an interval of its own: many writes do not keep a tombstone from being checked")
    func kinds() {
        var plan = SelfCheckPlan(interval: .seconds(1))
        let invalidation = Invalidation(key: CacheKey(namespace: "i", owner: "t", member: "u"), version: 5)
        let subjects = [SelfCheckSubject.write(invalidation), .relayed(invalidation), Self.denial]
        var taken = subjects.map { plan.noted($0, at: self.clock.now) }
        #expect(taken == [true, true, true])
        taken = subjects.map { plan.noted($0, at: self.clock.now.advanced(by: .milliseconds(999))) }
        #expect(taken == [false, false, false])
        let due = plan.due(at: self.clock.now.advanced(by: .seconds(1)))
        #expect(due.map(\.subject) == subjects)
        #expect(due.map(\.subject.kind) == SelfCheckKind.allCases)
    }

    struct Judged: Sendable, CustomTestStringConvertible {
        let what: String
        /// A node's answer, and how many milliseconds after its time it came.
        var replies: [(HeldAnswer?, Int)]
        var isFleetKnown = true
        var isDenial = false
        var delay = 0
        let verdict: SelfCheckPlan.Verdict
        var breaches = 0
        var testDescription: String { self.what }
    }

    @Test(
        "how answers count",
        arguments: [
            Judged(
                what: "nobody holds anything older",
                replies: [(answer(), 1), (answer(), 500)],
                verdict: .consistent
            ),
            Judged(what: "one holds", replies: [(answer(), 1), (answer([4]), 1)], verdict: .stale, breaches: 1),
            Judged(
                what: "one holds and another is silent: that it is stale is known",
                replies: [(nil, 1), (answer([4]), 1)],
                verdict: .stale,
                breaches: 1
            ),
            Judged(
                what: "one holds, late: later is worse",
                replies: [(answer([4]), 900)],
                verdict: .stale,
                breaches: 1
            ),
            Judged(what: "a node is silent", replies: [(answer(), 1), (nil, 1)], verdict: .unanswered),
            Judged(what: "an answer is late", replies: [(answer(), 1), (answer(), 501)], verdict: .unanswered),
            Judged(what: "no node", replies: [], verdict: .unanswered),
            Judged(
                what: "who is in the fleet is not known",
                replies: [(answer(), 1)],
                isFleetKnown: false,
                verdict: .unanswered
            ),
            Judged(
                what: "within the lease of a node that has a longer one: stale, and no breach",
                replies: [(answer([4], lease: 3_000), 1)],
                verdict: .stale
            ),
            Judged(
                what: "past that lease",
                replies: [(answer([4], lease: 3_000), 1)],
                delay: 1,
                verdict: .stale,
                breaches: 1
            ),
            Judged(
                what: "all deny",
                replies: [(answer(denies: true), 1), (answer(denies: true), 1)],
                isDenial: true,
                verdict: .consistent
            ),
            Judged(
                what: "one does not deny",
                replies: [(answer(denies: true), 1), (answer(denies: false), 1)],
                isDenial: true,
                verdict: .stale,
                breaches: 1
            ),
            Judged(
                what: "one does not deny, and would ask before it answers",
                replies: [(answer(denies: true), 1), (answer(denies: false, proof: "none"), 1)],
                isDenial: true,
                verdict: .consistent
            ),
            Judged(
                what: "one does not know the question",
                replies: [(answer(denies: true), 1), (answer(), 1)],
                isDenial: true,
                verdict: .unanswered
            ),
            Judged(
                what: "within the lease of a node that has a longer one, of a denial",
                replies: [(answer(denies: false, lease: 3_000), 1)],
                isDenial: true,
                verdict: .stale
            ),
        ]
    )
    func judged(_ judged: Judged) throws {
        var plan = SelfCheckPlan(interval: .seconds(1))
        let start = self.clock.now
        let subject = judged.isDenial ? Self.denial : self.write(5)
        _ = plan.noted(subject, at: start)
        let due = plan.due(at: start.advanced(by: .seconds(60)))
        let check = try #require(due.first { $0.delay == judged.delay })
        let replies = judged.replies.enumerated().map { number, reply in
            SelfCheckPlan.Reply(
                node: "n\(number)",
                answer: reply.0,
                at: check.dueAt.advanced(by: .milliseconds(reply.1))
            )
        }
        let (verdict, breaches) = plan.judge(check, by: replies, isFleetKnown: judged.isFleetKnown)
        #expect(verdict == judged.verdict)
        #expect(breaches.count == judged.breaches)
        for each in SelfCheckPlan.Verdict.allCases {
            for kind in SelfCheckKind.allCases {
                let expected = each == judged.verdict && kind == subject.kind ? 1 : 0
                #expect(plan.tally(kind, judged.delay).count(each) == expected)
            }
        }
    }

    @Test("the share is of the newest that were answered; before that there is none")
    func share() {
        var tally = SelfCheckPlan.Tally()
        #expect(tally.share == nil)
        tally.add(.unanswered)
        #expect(tally.share == nil)
        tally.add(.stale)
        tally.add(.consistent)
        #expect(tally.share == 0.5)
        for _ in 0..<SelfCheckPlan.window { tally.add(.consistent) }
        #expect(tally.share == 1)
        #expect(tally.count(.stale) == 1)
    }
}
