import Histogram
import Testing

@testable import CoherenceCheck

@Suite("Judge")
struct JudgeTests {
    /// Milliseconds, nodes by number, the lease a second.
    private struct Table {
        var judge = Judge(bound: .seconds(1))

        mutating func write(
            _ kind: WriteKind = .purchase,
            _ item: String? = "x",
            user: String? = "u",
            node: Int? = 0,
            at begin: Int = 0,
            acknowledged end: Int? = 10,
            version: Int64? = 7,
            propagated: Bool = true,
            everywhere: Bool = false
        ) -> Write.ID {
            let id = self.judge.began(
                Write(
                    kind: kind,
                    user: user.map { OpaqueID($0) },
                    item: item.map { OpaqueID($0) },
                    node: node,
                    begin: .milliseconds(begin)
                )
            )
            guard let end else { return id }
            self.judge.acknowledged(
                id,
                Acknowledgement(
                    at: .milliseconds(end),
                    userVersion: version,
                    propagated: propagated,
                    isEverywhere: everywhere
                )
            )
            return id
        }

        mutating func read(
            _ items: [String],
            user: String? = "u",
            node: Int = 1,
            at begin: Int,
            until end: Int? = nil,
            minimum: Int64 = 0,
            isPersonal: Bool = false,
            isUnverified: Bool = false,
            isControlUnverified: Bool = false,
            age: Int? = nil,
            answer: UInt128? = nil,
            probing: Write.ID? = nil
        ) {
            var read = Read(
                node: node,
                path: "/",
                user: user.map { OpaqueID($0) },
                begin: .milliseconds(begin),
                end: .milliseconds(end ?? begin + 1)
            )
            read.items = items.map { OpaqueID($0) }
            read.minimumVersion = minimum
            read.isPersonal = isPersonal
            read.isUnverified = isUnverified
            read.isControlUnverified = isControlUnverified
            read.age = age.map { .milliseconds($0) }
            read.answer = answer
            read.probed = probing
            self.judge.answered(read)
        }

        /// Judged reads, and violations.
        var outcome: [Int] {
            let total = self.judge.verdict.total
            return [total.pairs + total.incidental, total.violations]
        }
    }

    /// One purchase on node 0, acknowledged at 10 ms with version 7; then one read of that user.
    @Test(
        "a read is judged by where and when it begins",
        arguments: [
            // node, begin, end, X-Min-Version, judged
            (1, 5, 20, 0, 0),  // Overlaps the write.
            (1, 10, 20, 0, 0),  // Begins with the acknowledgement.
            (1, 11, 20, 0, 0),  // Within the bound.
            (1, 1_010, 1_020, 0, 0),  // Begins at the bound, not after it.
            (1, 1_011, 1_020, 0, 1),
            (1, 1_009, 5_000, 0, 0),  // Begun in time, however long it took.
            (0, 5, 20, 0, 0),
            (0, 11, 20, 0, 1),  // The writer's own node has no bound.
            (1, 11, 20, 7, 1),  // Who names the version has none.
            (1, 11, 20, 8, 1),
            (1, 11, 20, 6, 0),  // An older version does not cover the write.
            (1, 9, 20, 7, 0),
        ]
    )
    func moments(node: Int, begin: Int, end: Int, minimum: Int, judged: Int) {
        for (items, violations) in [(["a", "x", "b"], judged), (["a", "b"], 0), ([], 0)] {
            var table = Table()
            _ = table.write()
            table.read(items, node: node, at: begin, until: end, minimum: Int64(minimum))
            #expect(table.outcome == [judged, violations], "\(items)")
        }
    }

    @Test("a violation says who wrote and who read what, where and when, once a write")
    func example() throws {
        var table = Table()
        let id = table.write()
        for begin in [2_000, 2_100, 2_200] { table.read(["x"], at: begin, probing: id) }
        let verdict = table.judge.verdict
        #expect(verdict[.purchase].pairs == 3)
        #expect(verdict[.purchase].violations == 3)
        let violation = try #require(verdict.examples.first)
        #expect(verdict.examples.count == 1)
        #expect(violation.write.user?.text == "u")
        #expect(violation.write.item?.text == "x")
        #expect(violation.write.node == 0)
        #expect(violation.read.node == 1)
        #expect(violation.read.begin == .milliseconds(2_000))
        #expect(violation.acknowledgement.at == .milliseconds(10))
        #expect(violation.bound == .seconds(1))
        for number in 0..<40 {
            _ = table.write(.purchase, "y", user: "v\(number)", at: 3_000, acknowledged: 3_001)
            table.read(["y"], user: "v\(number)", at: 5_000)
        }
        #expect(table.judge.verdict.examples.count == Verdict.exampleLimit)
        #expect(table.judge.verdict.total.violations == 43)
    }

    @Test("a write forbids its item to its user alone; ids are bytes")
    func others() {
        var table = Table()
        _ = table.write(.purchase, "caf\u{E9}", user: "u")
        table.read(["caf\u{E9}"], user: "v", at: 2_000)
        table.read(["caf\u{E9}"], user: nil, at: 2_000)
        #expect(table.outcome == [0, 0])
        table.read(["cafe\u{301}"], at: 2_000)
        #expect(table.outcome == [1, 0])
        table.read(["caf\u{E9}"], at: 2_000)
        #expect(table.outcome == [2, 1])
        _ = table.write(.purchase, "x", user: "cafe\u{301}")
        table.read(["x"], user: "caf\u{E9}", at: 2_000)
        #expect(table.outcome == [2, 1])
        table.read(["x"], user: "cafe\u{301}", at: 2_000)
        #expect(table.outcome == [3, 2])
    }

    @Test("a write without an acknowledgement, and one of unknown outcome, forbids nothing")
    func unknown() {
        var table = Table()
        let id = table.write(acknowledged: nil)
        table.read(["x"], at: 5_000)
        table.judge.failed(id)
        table.read(["x"], node: 0, at: 6_000)
        #expect(table.outcome == [0, 0])
        #expect(table.judge.verdict[.purchase].unknown == 1)
        let refused = table.write(acknowledged: nil)
        table.judge.refused(refused)
        table.read(["x"], node: 0, at: 6_000)
        #expect(table.outcome == [0, 0])
        #expect(table.judge.verdict[.purchase].writes == 1)
    }

    @Test(
        "what is not propagated is judged on its own node, for its version, and elsewhere after the relay's pass if that is known"
    )
    func unpropagated() {
        for (relay, judged) in [(nil, 2), (Duration.seconds(3), 3)] {
            var table = Table()
            table.judge = Judge(bound: .seconds(1), relay: relay)
            _ = table.write(propagated: false)
            table.read(["a"], node: 0, at: 11)
            table.read(["a"], node: 2, at: 11, minimum: 7)
            table.read(["x"], at: 4_010)
            #expect(table.outcome == [2, 0])
            table.read(["x"], at: 4_011)
            #expect(table.outcome == [judged, judged - 2])
            #expect(table.judge.verdict[.purchase].unpropagated == 1)
            #expect(table.judge.verdict[.purchase].unpropagatedReads == (relay == nil ? 2 : 0))
        }
    }

    @Test("an answer that says it is not verified is exempt, and counted")
    func unverified() {
        var table = Table()
        _ = table.write()
        table.read(["x"], at: 2_000, isUnverified: true)
        table.read(["a"], at: 2_000, isUnverified: true)
        #expect(table.outcome == [0, 0])
        #expect(table.judge.verdict[.purchase].exempt == 2)
        #expect(table.judge.verdict[.purchase].exemptShown == 1)
        #expect(table.judge.verdict.unverified == 2)
        table.read(["x"], at: 2_000)
        #expect(table.outcome == [1, 1])
    }

    @Test("what is not known of the user excuses no tombstone, what is not known of the control state no purchase")
    func unverifiedKinds() {
        for kind in WriteKind.allCases {
            for (isUser, isControl) in [(false, false), (true, false), (false, true), (true, true)] {
                var table = Table()
                _ = table.write(kind)
                table.read(
                    ["x"],
                    at: 2_000,
                    isPersonal: true,
                    isUnverified: isUser,
                    isControlUnverified: isControl,
                    age: 5_000
                )
                let isExempt = kind.isControl ? isControl : isUser
                #expect(table.outcome == (isExempt ? [0, 0] : [1, 1]), "\(kind) \(isUser) \(isControl)")
                #expect(table.judge.verdict[kind].exemptShown == (isExempt ? 1 : 0))
                #expect(table.judge.verdict.unverified == (isUser || isControl ? 1 : 0))
            }
        }
    }

    @Test(
        "after a purge and the bound no list is older than it, by more than clocks may differ",
        arguments: [(2_000, 1_800, 0), (2_000, 2_090, 0), (2_000, 2_110, 1), (500, 5_000, 0), (2_000, nil, 0)]
    )
    func purge(begin: Int, age: Int?, violations: Int) {
        var table = Table()
        _ = table.write(.purge, nil, user: nil)
        table.read(["x"], at: begin, age: age)
        #expect(table.judge.verdict[.purge].violations == violations)
    }

    @Test("an id that two answers have is counted, whoever they were for")
    func repeated() {
        var table = Table()
        for answer: UInt128? in [1, 2, nil, nil] { table.read(["x"], at: 10, answer: answer) }
        #expect(table.judge.verdict.repeated == 0)
        table.read(["x"], user: "v", node: 2, at: 10, answer: 2)
        #expect(table.judge.verdict.repeated == 1)
    }

    @Test("a suppression holds until taking it back begins; a read that goes on beyond that may show either")
    func undone() {
        var table = Table()
        let id = table.write(.suppression)
        table.read(["x"], at: 1_500, until: 1_600)
        table.judge.undoing(id, at: .milliseconds(2_000))
        // Read before, told later.
        table.read(["x"], at: 1_700, until: 2_000)
        #expect(table.outcome == [2, 2])
        table.read(["x"], at: 1_999, until: 2_001)
        table.read(["x"], at: 3_000)
        #expect(table.outcome == [2, 2])
        table.judge.probed(id)
        table.read(["x"], at: 3_000)
        #expect(table.outcome == [2, 2])
    }

    @Test("a purchase is remembered for the rest of the run, and what is read for others' sake is incidental")
    func late() {
        var table = Table()
        let id = table.write()
        table.read(["a"], at: 2_000, probing: id)
        table.judge.probed(id)
        table.read(["a"], at: 60_000)
        #expect(table.judge.verdict[.purchase].pairs == 1)
        #expect(table.judge.verdict[.purchase].incidental == 1)
        table.read(["x"], at: 61_000)
        #expect(table.judge.verdict[.purchase].violations == 1)
        // The oldest of very many are forgotten.
        for number in 0..<Judge.remembered {
            let next = table.write(.purchase, "y\(number)", at: 62_000, acknowledged: 62_001)
            table.judge.probed(next)
        }
        table.read(["x"], at: 70_000)
        #expect(table.judge.verdict[.purchase].violations == 1)
        table.read(["y0"], at: 70_000)
        #expect(table.judge.verdict[.purchase].violations == 2)
    }

    @Test("after a reset nothing is explained by the history until there is one; what was bought before may be shown")
    func reset() {
        var table = Table()
        _ = table.write()
        let reset = table.write(.reset, nil, at: 2_000, acknowledged: 2_010)
        table.read(["x"], node: 0, at: 2_011, isPersonal: false, probing: reset)
        #expect(table.outcome == [1, 0])
        table.read(["x"], at: 3_011, isPersonal: true, probing: reset)
        #expect(table.outcome == [2, 1])
        _ = table.write(.purchase, "z", at: 4_000, acknowledged: 4_010)
        table.read(["x"], at: 5_100, isPersonal: true)
        // The new purchase alone is judged.
        #expect(table.outcome == [3, 1])
        table.read(["z"], at: 5_100, isPersonal: true)
        #expect(table.outcome == [4, 2])
    }

    @Test("after an erasure nothing is explained by the history; what was bought or suppressed may be shown again")
    func erasure() {
        var table = Table()
        let bought = table.write()
        let suppressed = table.write(.suppression, "y", at: 1_500, acknowledged: 1_510)
        let erasure = table.write(.erasure, nil, at: 2_000, acknowledged: 2_010)
        table.read(["x", "y"], node: 0, at: 2_011, isPersonal: false, probing: erasure)
        #expect(table.outcome == [1, 0])
        table.read(["x", "y"], at: 3_011, isPersonal: true, probing: erasure)
        #expect(table.outcome == [2, 1])
        #expect(table.judge.verdict[.purchase].violations + table.judge.verdict[.suppression].violations == 0)
        _ = table.write(.purchase, "z", at: 4_000, acknowledged: 4_010)
        table.read(["x"], at: 5_100, isPersonal: true)
        #expect(table.judge.verdict[.erasure].violations == 1)
        table.read(["z"], at: 5_100, isPersonal: true)
        #expect(table.judge.verdict[.purchase].violations == 1)
        for id in [bought, suppressed, erasure] { table.judge.probed(id) }
    }

    @Test(
        "without consent nothing is explained by the history, and what was bought may be shown, until consent is certain"
    )
    func consent() {
        var table = Table()
        _ = table.write()
        let consent = table.write(.consent, nil, at: 2_000, acknowledged: 2_010)
        table.read(["x"], node: 0, at: 2_011)
        table.read(["x"], at: 3_500, isPersonal: true)
        #expect(table.outcome == [2, 1])
        table.judge.undoing(consent, at: .milliseconds(4_000))
        table.judge.probed(consent)
        table.read(["x"], at: 4_100, isPersonal: true)
        #expect(table.outcome == [2, 1])
        // Nobody knows whether consent was given again: the purchase may not count.
        _ = table.write(.purchase, "y", at: 4_200, acknowledged: 4_210)
        table.read(["y"], node: 0, at: 4_300)
        #expect(table.outcome == [2, 1])
        table.judge.consented(OpaqueID("u"))
        _ = table.write(.purchase, "z", at: 5_000, acknowledged: 5_010)
        table.read(["z"], node: 0, at: 5_100)
        #expect(table.outcome == [3, 2])
    }

    @Test("control scope: every list, after the bound, the writer's node too; without one after wait=all")
    func control() {
        for (everywhere, judged) in [(false, [0, 0, 1]), (true, [1, 1, 1])] {
            for user in ["v", nil] {
                for (index, (node, begin)) in [(0, 11), (1, 11), (1, 1_011)].enumerated() {
                    var table = Table()
                    _ = table.write(.tombstone, user: nil, version: nil, everywhere: everywhere)
                    table.read(["x"], user: user, node: node, at: begin)
                    #expect(table.outcome == [judged[index], judged[index]], "\(everywhere) \(node) \(begin)")
                }
            }
        }
        var table = Table()
        let id = table.write(.hidden, user: nil, version: nil, propagated: false)
        table.read(["x"], node: 0, at: 9_000)
        #expect(table.outcome == [0, 0])
        table.judge.undoing(id, at: .seconds(10))
        table.judge.probed(id)
        table.read(["x"], node: 0, at: 11_000)
        #expect(table.outcome == [0, 0])
    }

    @Test("staleness is the latest begin of a read that still showed it, on the writer's node and elsewhere")
    func staleness() {
        var table = Table()
        let id = table.write()
        table.read(["x"], at: 5)
        table.read(["x"], at: 110)
        table.read(["x"], at: 310)
        table.read(["a"], at: 510)
        // Who names a version is answered by other rules.
        table.read(["a"], at: 610, minimum: 7)
        table.read(["a"], node: 0, at: 20)
        #expect(table.judge.verdict.other.totalCount == 0)
        table.judge.probed(id)
        let verdict = table.judge.verdict
        #expect(verdict.other.totalCount == 1)
        #expect(verdict.other.max / 1_000 == 300)
        #expect(verdict.own.totalCount == 1)
        #expect(verdict.own.max == 0)
        // Nobody has looked: that is no staleness of zero.
        let other = table.write(.purchase, "y", user: "v")
        table.judge.probed(other)
        #expect(table.judge.verdict.other.totalCount == 1)
        // What comes back later counts as well.
        table.read(["x"], at: 50_010)
        #expect(table.judge.verdict.other.max / 1_000_000 >= 49)
    }
}
