import RecommendationCore
import Testing

@testable import RecommendationEngine

/// Items that a model was not fitted on are in pools as the model would have them that was.
@Suite struct FreshItemsTests {
    private struct Trial {
        let before: Snapshot
        let after: Snapshot
        let items: Int
        let known: Int
        let history: [HistoryEvent]
        let fresh: FreshItems

        /// A model of the first items and one of all, of the same events.
        init(_ seed: Int, kinds: UInt32 = 6) throws {
            var generator = SeededGenerator(UInt64(seed))
            let known = Int.random(in: 5...35, using: &generator)
            // No list of neighbours is full, so that none is cut.
            let items = known + Int.random(in: 1...12, using: &generator)
            let rows = randomRows(600, users: 40, items: known, using: &generator)
            let categories = randomCategories(items, kinds: kinds, using: &generator)
            let sets = categories.map { Set($0) }
            self.before = try fit(rows, items: known, categories: Array(categories.prefix(known)))
            self.after = try fit(rows, items: items, categories: categories)
            self.items = items
            self.known = known
            self.history = randomHistory(Int.random(in: 1...30, using: &generator), items: items, using: &generator)
            self.fresh = FreshItems(end: items, tried: [], triedLimit: 0, lot: 0) { item in
                let own = sets[Int(item)]
                // All pairs that have something in common, of which the model has those of two known items.
                return (0..<items).compactMap { other in
                    let shared = own.intersection(sets[other]).count
                    guard shared > 0, max(Int(item), other) >= known else { return nil }
                    return Neighbour(
                        item: Item.Number(other),
                        weight: Float(shared) / Float(own.union(sets[other]).count)
                    )
                }
            }
        }

        func pool(_ snapshot: Snapshot, _ fresh: FreshItems, excluded: [UInt64] = []) -> CandidatePool {
            var policy = Policy.builtIn
            policy.poolSize = 1_000
            return Scorer().pool(
                history: self.history,
                snapshot: snapshot,
                policy: policy,
                excluded: excluded,
                keepsSeen: true,
                fresh: fresh
            )
        }
    }

    @Test("content is as if the model had been fitted on all, and what was seen of it is seen", arguments: 0..<60)
    func asFitted(seed: Int) throws {
        let trial = try Trial(seed)
        let (found, wanted) = (trial.pool(trial.before, trial.fresh), trial.pool(trial.after, .none))
        for (list, expected) in [(found.unseen, wanted.unseen), (found.seen, wanted.seen)] {
            let content = Dictionary(
                uniqueKeysWithValues: expected.map { ($0.item, wanted.components($0).content) }
            )
            for candidate in list {
                let component = found.components(candidate)
                let value = try #require(content[candidate.item], "\(candidate.item) is a candidate of the whole model")
                let tolerance = (found.scales[1].step + wanted.scales[1].step) * 0.51 + 0.002
                #expect(abs(component.content - value) <= tolerance, "\(candidate.item)")
                guard Int(candidate.item) >= trial.known else { continue }
                #expect(component.collaborative <= found.scales[0].step && component.popularity <= found.scales[2].step)
            }
        }
        let touched = wanted.unseen.filter { wanted.components($0).content > 0 }.map(\.item)
        #expect(Set(touched).isSubset(of: found.unseen.map(\.item)))
        #expect(Set(found.seen.map(\.item)) == Set(wanted.seen.map(\.item)))
    }

    @Test("without fresh items the pool is what it was, to the bit", arguments: 0..<20)
    func unchanged(seed: Int) throws {
        let trial = try Trial(seed)
        let none = FreshItems(end: trial.known, tried: [], triedLimit: 0, lot: 0) { _ in [] }
        #expect(trial.pool(trial.before, none) == trial.pool(trial.before, .none))
    }

    @Test("a fresh item is explained by the item it is most like, among those the user likes")
    func seed() throws {
        let rows = (0..<6).flatMap { user in (0..<3).map { Row(user: UInt32(user), item: UInt32($0)) } }
        let snapshot = try fit(rows, items: 4, categories: [[1], [1, 2], [3], [4]])
        let fresh = FreshItems(end: 6, tried: [], triedLimit: 0, lot: 0) { item in
            switch item {
            case 0: [Neighbour(item: 5, weight: 0.5)]
            case 1: [Neighbour(item: 5, weight: 1)]
            case 5: [Neighbour(item: 1, weight: 1), Neighbour(item: 3, weight: 0.25)]
            default: []
            }
        }
        func pool(_ history: [HistoryEvent]) -> CandidatePool {
            Scorer().pool(
                history: history,
                snapshot: snapshot,
                policy: .builtIn,
                excluded: [],
                keepsSeen: false,
                fresh: fresh
            )
        }
        let own = pool([event(0), event(1), event(2)])
        let candidate = try #require(own.unseen.first { $0.item == 5 })
        #expect(own.seeds[Int(candidate.seed)] == 1)
        // A history of nothing but fresh items is personal, too.
        let session = pool([event(5)])
        #expect(session.isPersonal && !session.unseen.contains { $0.item == 5 })
        let (near, far) = (session.unseen.first { $0.item == 1 }, session.unseen.first { $0.item == 3 })
        #expect(session.components(try #require(near)).content > session.components(try #require(far)).content)
        // What is disliked speaks against its neighbours.
        let disliked = pool([event(0), event(1, .dislike)])
        #expect((disliked.unseen.first { $0.item == 5 }).map { disliked.components($0).content < 0 } ?? false)
    }

    @Test("what is tried out is taken in the order given, less what is seen or excluded, and no more than is asked for")
    func tried() throws {
        let snapshot = try fit([Row(user: 0, item: 0), Row(user: 1, item: 1)], items: 4)
        let fresh = FreshItems(end: 9, tried: [8, 3, 7, 2, 800, 6, 5], triedLimit: 3, lot: 77) { _ in [] }
        let cases: [([HistoryEvent], [Item.Number])] = [([], [8, 3, 2]), ([event(8), event(3, .view)], [3, 2, 6])]
        for (history, wanted) in cases {
            let pool = Scorer().pool(
                history: history,
                snapshot: snapshot,
                policy: .builtIn,
                excluded: bitmap([7], count: 9),
                keepsSeen: true,
                fresh: fresh
            )
            #expect(pool.tried.map(\.item) == wanted && pool.triedLot == 77)
            #expect(pool.tried.allSatisfy { $0.seed == CandidatePool.noSeed })
        }
    }
}
