import RecommendationCore
import Synchronization
import Testing

@testable import Serving

@Suite("Denials")
struct DenialsTests {
    private static func stone(_ kind: Tombstone.Kind, _ key: String) -> Tombstone {
        Tombstone(kind: kind, key: Identifier(trusted: key))
    }

    private static func change(_ kind: Tombstone.Kind, _ key: String, for seconds: Int64?) -> TombstoneChange {
        TombstoneChange(
            Self.stone(kind, key),
            deniedUntil: seconds.map { Timestamp(microseconds: Fixture.now.microseconds + $0 * 1_000_000) }
        )
    }

    private static func later(_ seconds: Int64) -> Timestamp {
        Timestamp(microseconds: Fixture.now.microseconds + seconds * 1_000_000)
    }

    @Test("of what comes twice the last counts, and what has ended by then counts for nothing")
    func order() {
        var denials = Denials(
            [
                Self.change(.item, "a", for: 10), Self.change(.item, "b", for: 10), Self.change(.item, "b", for: nil),
                Self.change(.item, "c", for: nil), Self.change(.item, "c", for: 10), Self.change(.item, "d", for: -1),
                Self.change(.item, "e", for: 10), Self.change(.item, "e", for: 0),
            ],
            now: Fixture.now
        )
        #expect(["a", "b", "c", "d", "e"].filter { denials.contains(.item, $0) } == ["a", "c"])
        #expect(denials.count == 2)
        #expect(!denials.contains(.creator, "a"))
        // Composed and decomposed are two.
        _ = denials.apply([TombstoneChange(Self.stone(.item, "caf\u{e9}"), deniedUntil: .never)], now: Fixture.now)
        #expect(denials.contains(.item, "caf\u{e9}") && !denials.contains(.item, "cafe\u{301}"))
    }

    @Test("each ends at its own time, and one that was given another end at that")
    func ends() {
        var denials = Denials(
            [
                Self.change(.item, "a", for: 10), Self.change(.item, "b", for: 20), Self.change(.creator, "c", for: 20),
                TombstoneChange(Self.stone(.item, "d"), deniedUntil: .never),
            ],
            now: Fixture.now
        )
        #expect(denials.until == Self.later(10))
        _ = denials.apply([Self.change(.item, "a", for: 30)], now: Fixture.now)
        let before = denials
        #expect(denials.expire(Self.later(9)).isEmpty)
        #expect(denials.expire(Self.later(10)).isEmpty, "it has another end")
        #expect(denials.until == Self.later(20))
        #expect(Set(denials.expire(Self.later(25))) == [Self.stone(.item, "b"), Self.stone(.creator, "c")])
        #expect(denials.contains(.item, "a") && denials.contains(.item, "d") && denials.count == 2)
        #expect(denials.expire(Self.later(30)) == [Self.stone(.item, "a")])
        #expect(denials.until == nil)
        // What was taken before stands as it was.
        #expect(before.count == 4 && before.contains(.item, "b") && before.contains(.creator, "c"))
    }

    @Test("thousands of ends, added one by one and many at once, come in their order; what does not count is not kept")
    func manyEnds() {
        var generator = SeededGenerator(seed: 7)
        var denials = Denials()
        var ends: [Tombstone: Int64] = [:]
        for round in 0..<400 {
            let count = round % 100 == 99 ? 1_500 : 5
            let changes = (0..<count).map { _ in
                Self.change(
                    .item,
                    "i\(Int.random(in: 0..<4_000, using: &generator))",
                    for: .random(in: 1...1_000, using: &generator)
                )
            }
            for change in changes {
                ends[change.tombstone] =
                    (change.deniedUntil!.microseconds - Fixture.now.microseconds) / 1_000_000
            }
            _ = denials.apply(changes, now: Fixture.now)
        }
        #expect(denials.count == ends.count)
        for second in stride(from: Int64(0), through: 1_000, by: 50) {
            let expired = Set(denials.expire(Self.later(second)))
            #expect(expired == Set(ends.filter { $0.value <= second }.keys))
            ends = ends.filter { $0.value > second }
            #expect(denials.count == ends.count)
        }
        #expect(denials.until == nil)

        var again = Denials()
        for step in 0..<10_000 { _ = again.apply([Self.change(.item, "same", for: Int64(step + 1))], now: Fixture.now) }
        #expect(again.keptEnds <= 1_025)
    }

    @Test("what is blocked, brought up to date change by change, is what all tombstones block in the whole catalogue")
    func blocked() {
        var generator = SeededGenerator(seed: 11)
        var catalog = Catalog()
        catalog.update(Fixture.items(60))
        var denials = Denials()
        var blocked = Bitmap()
        var now = Fixture.now
        let names: [(Tombstone.Kind, [String])] = [
            (.item, (0..<60).map { "i\($0)" }), (.category, (0..<7).map { "c\($0)" }),
            (.creator, (0..<3).map { "creator-\($0)" }), (.campaign, ["sale"]),
        ]
        for step in 0..<600 {
            now = Timestamp(microseconds: now.microseconds + 1_000_000)
            var changes: [TombstoneChange] = []
            for _ in 0..<Int.random(in: 0..<3, using: &generator) {
                let (kind, keys) = names.randomElement(using: &generator)!
                let end: Timestamp? =
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: .never
                    case 1:
                        Timestamp(microseconds: now.microseconds + .random(in: 1...20, using: &generator) * 1_000_000)
                    default: nil
                    }
                changes.append(
                    TombstoneChange(Self.stone(kind, keys.randomElement(using: &generator)!), deniedUntil: end)
                )
            }
            var numbers: [Item.Number] = []
            if step % 3 == 0 {
                let number = Item.Number.random(in: 0..<60, using: &generator)
                if Bool.random(using: &generator), catalog.holds(number) {
                    catalog.remove([number])
                } else {
                    let category = "c\(Int.random(in: 0..<7, using: &generator))"
                    let creator = Bool.random(using: &generator) ? nil : "creator-0"
                    let item = Fixture.items(60) { item in
                        item.categories = [category]
                        item.creator = creator
                    }[Int(number)]
                    catalog.update([item])
                }
                numbers = [number]
            }
            let touched = denials.apply(changes, now: now) + denials.expire(now)
            denials.update(&blocked, touched: touched, changed: numbers, in: catalog)
            let expected = denials.denied(in: catalog)
            #expect((0..<64).allSatisfy { blocked[$0] == expected[$0] }, "step \(step)")
        }
    }

    @Test("a node applies what is added and taken away to what it has, and a whole list in its place")
    func deltas() async throws {
        let tests = ControlStateTests()
        let state = tests.make()
        func apply(_ head: Int64, isWhole: Bool, _ changes: [TombstoneChange]) async throws {
            let delta = ControlDelta(
                incarnation: "a",
                head: head,
                tenants: [tests.control(active: nil)],
                tombstones: [.default: TombstoneDelta(isWhole: isWhole, changes: changes)],
                keys: nil,
                items: Fixture.items(20).map { (tenant: .default, item: $0) },
                itemPosition: 1
            )
            tests.store.state.withLock { $0.delta = delta }
            try await state.catchUp()
        }
        func blocked() -> [Int] { (0..<20).filter { state.state(of: .default)!.blocked[$0] } }
        let good = Timestamp.never
        try await apply(1, isWhole: true, [TombstoneChange(Self.stone(.item, "i3"), deniedUntil: good)])
        #expect(blocked() == [3])
        try await apply(2, isWhole: false, [TombstoneChange(Self.stone(.category, "c3"), deniedUntil: good)])
        #expect(blocked() == [3, 10, 17])
        try await apply(3, isWhole: false, [TombstoneChange(Self.stone(.item, "i3"), deniedUntil: nil)])
        #expect(blocked() == [3, 10, 17], "its category is denied")
        try await apply(4, isWhole: false, [TombstoneChange(Self.stone(.category, "c3"), deniedUntil: nil)])
        #expect(blocked().isEmpty)
        try await apply(5, isWhole: false, [TombstoneChange(Self.stone(.item, "i4"), deniedUntil: good)])
        try await apply(6, isWhole: true, [TombstoneChange(Self.stone(.item, "i5"), deniedUntil: good)])
        #expect(blocked() == [5])
        // A change of something else leaves them as they are.
        tests.store.state.withLock { $0.delta = tests.delta(head: 7, [tests.control(active: nil)]) }
        try await state.catchUp()
        #expect(state.appliedID == 7 && blocked() == [5])
    }
}
