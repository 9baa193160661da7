import RecommendationCore
import RecommendationEngine
import Testing

@Suite struct ScorerTests {
    /// Item 0 goes with 1 (twice) and 2 (once); 3 and 4 are used by others; 5 has 0's category; 6 has nothing.
    private func snapshot() throws -> Snapshot {
        let pairs: [(UInt32, UInt32)] = [
            (0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2), (3, 3), (4, 3), (5, 3), (6, 3), (7, 4), (7, 5),
        ]
        return try fit(
            pairs.map { Row(user: $0.0, item: $0.1) },
            items: 7,
            categories: [[1], [2], [3], [4], [5], [1], []]
        )
    }

    private func pool(
        _ history: [HistoryEvent],
        _ snapshot: Snapshot,
        policy: Policy = .builtIn,
        excluded: [UInt64] = []
    ) -> CandidatePool {
        Scorer().pool(history: history, snapshot: snapshot, policy: policy, excluded: excluded, keepsSeen: true)
    }

    private func candidate(_ item: Item.Number, in list: [CandidatePool.Candidate]) -> CandidatePool.Candidate? {
        list.first { $0.item == item }
    }

    @Test("components are sums over the history, divided by their largest and weighted by the policy")
    func knownAnswer() throws {
        let snapshot = try self.snapshot()
        let pool = self.pool([event(0, .purchase)], snapshot)
        #expect(pool.isPersonal)
        #expect(pool.seen.map(\.item) == [0])
        #expect(Set(pool.unseen.map(\.item)) == [1, 2, 3, 4, 5])
        // 1: cosine 2/√6, the largest: 0.4. 2: cosine 1/√3, so 0.4 × (1/√3) / (2/√6).
        let first = pool.components(try #require(self.candidate(1, in: pool.unseen)))
        let second = pool.components(try #require(self.candidate(2, in: pool.unseen)))
        #expect(abs(first.collaborative - 0.4) < 0.002)
        #expect(abs(second.collaborative - 0.4 * Float(6).squareRoot() / (2 * Float(3).squareRoot())) < 0.002)
        // 5 is the only item of like categories: 0.3.
        #expect(abs(pool.components(try #require(self.candidate(5, in: pool.unseen))).content - 0.3) < 0.002)
        // 3 has popularity alone: it is the most popular.
        let popular = pool.components(try #require(self.candidate(3, in: pool.unseen)))
        #expect(abs(popular.popularity - 0.3) < 0.002)
        #expect(abs(popular.collaborative) < 0.002)
    }

    @Test("seeds are the history items that added most, and popularity has none")
    func seeds() throws {
        let pool = self.pool([event(0, .purchase), event(4)], try self.snapshot())
        let seeds = pool.unseen.reduce(into: [Item.Number: Item.Number?]()) {
            $0[$1.item] = .some($1.seed == CandidatePool.noSeed ? nil : pool.seeds[Int($1.seed)])
        }
        #expect(seeds[1] == 0)
        #expect(seeds[5] == 0)
        #expect(seeds[3] == .some(nil))
        #expect(pool.seeds == [0])
    }

    @Test("a hidden or disliked item is in no list and explains nothing", arguments: [EventType.hide, .dislike])
    func banned(type: EventType) throws {
        let history = [event(0, .purchase), event(0, type, daysAgo: 600), event(1, type, daysAgo: 1), event(4)]
        let pool = self.pool(history, try self.snapshot())
        let listed = (pool.unseen + pool.seen).map(\.item)
        #expect(!listed.contains(0))
        #expect(!listed.contains(1))
        #expect(!pool.seeds.contains(0))
    }

    @Test("views leave an item unseen, every other event marks it seen")
    func seen() throws {
        let snapshot = try self.snapshot()
        #expect(self.pool([event(1, .view)], snapshot).seen.isEmpty)
        for type in [EventType.purchase, .addToCart, .like, .rating, .click] {
            #expect(self.pool([event(1, type)], snapshot).seen.map(\.item) == [1])
        }
    }

    @Test("who is shown nothing seen has a pool without it, but for its number, and the same unseen items")
    func seenLeftOut() throws {
        let history = [event(0, .purchase), event(4, .like), event(1, .view), event(2, .hide)]
        let (snapshot, full) = (try self.snapshot(), self.pool(history, try self.snapshot()))
        let spare = Scorer().pool(
            history: history,
            snapshot: snapshot,
            policy: .builtIn,
            excluded: [],
            keepsSeen: false
        )
        #expect(full.seen.count == 2 && full.seenLeftOut == 0)
        #expect(spare.seen.isEmpty && spare.seenLeftOut == 2)
        #expect(spare.unseen.map(\.item) == full.unseen.map(\.item))
    }

    @Test("neighbours of a disliked item lose")
    func negative() throws {
        let snapshot = try self.snapshot()
        let pool = self.pool([event(4, .purchase), event(0, .dislike)], snapshot)
        #expect(pool.components(try #require(self.candidate(1, in: pool.unseen))).collaborative < 0)
        #expect(pool.components(try #require(self.candidate(5, in: pool.unseen))).content < 0)
        #expect(pool.unseen.allSatisfy { pool.components($0).collaborative >= -0.4001 })
    }

    @Test("without a positive event popularity alone counts, and what was seen or hidden is still respected")
    func cold() throws {
        let snapshot = try self.snapshot()
        let none = self.pool([], snapshot)
        #expect(!none.isPersonal)
        #expect(none.unseen.map(\.item) == [3, 0, 1, 2, 4, 5])
        #expect(none.seen.isEmpty && none.seeds.isEmpty)
        let hidden = self.pool([event(3, .hide), event(0, .rating, value: .nan)], snapshot)
        #expect(!hidden.isPersonal)
        #expect(hidden.unseen.map(\.item) == [1, 2, 4, 5])
        #expect(hidden.seen.map(\.item) == [0])
        var policy = Policy.builtIn
        policy.weights = Policy.Weights(collaborative: 1, content: 0, popularity: 0)
        #expect(self.pool([], snapshot, policy: policy).unseen.map(\.item) == [3, 0, 1, 2, 4, 5])
    }

    @Test("excluded items are no candidates, whether by history or by popularity")
    func excluded() throws {
        let snapshot = try self.snapshot()
        let history = [event(0, .purchase)]
        let excluded = self.pool(history, snapshot, excluded: bitmap([0, 1, 3], count: 7))
        #expect(Set(excluded.unseen.map(\.item)) == [2, 4, 5])
        #expect(excluded.seen.isEmpty)
        // What is left is scaled by what is left.
        #expect(
            abs(excluded.components(try #require(self.candidate(2, in: excluded.unseen))).collaborative - 0.4) < 0.002
        )
        #expect(self.pool([], snapshot, excluded: [.max]).unseen.isEmpty)
    }

    @Test("the oldest events still mark what was seen, but weigh nothing beyond the newest 500")
    func historyLimit() throws {
        let snapshot = try self.snapshot()
        let history = (0..<500).map { _ in event(4) } + [event(0, .purchase, daysAgo: 1)]
        let pool = self.pool(history, snapshot)
        #expect(Set(pool.seen.map(\.item)) == [0, 4])
        #expect(pool.unseen.allSatisfy { $0.item != 1 || abs(pool.components($0).collaborative) < 0.002 })
        #expect(self.pool(Array(history.reversed()), snapshot) == pool)
    }

    @Test("an event counts half after the half-life, from the user's newest event")
    func decay() throws {
        // 0 goes with 1, 2 with 3, equally.
        let rows = [(0, 0), (0, 1), (1, 2), (1, 3)].map { Row(user: $0.0, item: $0.1) }
        let snapshot = try fit(rows, items: 4)
        let pool = self.pool([event(0, daysAgo: 100), event(2, daysAgo: 130)], snapshot)
        let (new, old) = (self.candidate(1, in: pool.unseen), self.candidate(3, in: pool.unseen))
        #expect(abs(pool.components(try #require(new)).collaborative - 0.4) < 0.002)
        #expect(abs(pool.components(try #require(old)).collaborative - 0.2) < 0.002)
    }

    @Test("ratings weigh by the user's mean")
    func ratings() throws {
        // 0 goes with 1, 2 with 3, 4 with 5.
        let rows = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)].map { Row(user: $0.0, item: $0.1) }
        let snapshot = try fit(rows, items: 6)
        let history = [event(0, .rating, value: 5), event(2, .rating, value: 3), event(4, .rating, value: 1)]
        let pool = self.pool(history, snapshot)
        let collaborative = try [1, 3, 5].map {
            pool.components(try #require(self.candidate($0, in: pool.unseen))).collaborative
        }
        #expect(zip(collaborative, [0.4, 0, -0.4]).allSatisfy { abs($0 - $1) < 0.002 })
        let two = self.pool(Array(history.prefix(2)), snapshot)
        let weaker = two.components(try #require(self.candidate(3, in: two.unseen))).collaborative
        #expect(abs(weaker - 0.4 / 3) < 0.002)
    }

    @Test("one scorer serves snapshots of any size, and keeps nothing from one user to the next")
    func reuse() throws {
        let small = try self.snapshot()
        var generator = SeededGenerator(1)
        let large = try fit(randomRows(3_000, users: 60, items: 200, using: &generator), items: 200)
        let scorer = Scorer()
        for round in 0..<6 {
            let snapshot = round.isMultiple(of: 2) ? small : large
            let history = randomHistory(30, items: snapshot.itemCount, using: &generator)
            let found = scorer.pool(
                history: history,
                snapshot: snapshot,
                policy: .builtIn,
                excluded: [],
                keepsSeen: true
            )
            #expect(found == self.pool(history, snapshot))
            _ = scorer.ranked(history: history, snapshot: snapshot, limit: 5)
        }
    }

    @Test("events of items the snapshot does not know, and senseless settings, do no harm")
    func degenerate() throws {
        let snapshot = try self.snapshot()
        #expect(self.pool([event(900, .purchase), event(.max, .hide)], snapshot).unseen.count == 6)
        let empty = self.pool([event(0)], .empty(builtAt: someTime))
        #expect(empty.unseen.isEmpty && empty.seen.isEmpty && empty.scales.count == 3)
        var policy = Policy.builtIn
        policy.weights = Policy.Weights(collaborative: .nan, content: .infinity, popularity: -1)
        policy.eventWeights = [.purchase: .infinity, .click: .greatestFiniteMagnitude]
        policy.halfLifeDays = .nan
        for size in [Int.min, 0, 1, .max] {
            policy.poolSize = size
            let pool = self.pool([event(0), event(3, .purchase), event(4, daysAgo: 1e5)], snapshot, policy: policy)
            #expect(pool.unseen.count <= max(size, 0))
            #expect((pool.unseen + pool.seen).allSatisfy { pool.score($0).isFinite })
        }
        let extreme = [Int64.max, 0, Int64.min].map {
            HistoryEvent(item: 0, type: .click, value: 1, occurredAt: Timestamp(microseconds: $0))
        }
        #expect(self.pool(extreme, snapshot).unseen.count == 5)
    }
}

@Suite struct RankedTests {
    @Test("items go by their collaborative sums, popularity fills up, what was seen is left out")
    func knownAnswer() throws {
        let rows = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2), (3, 3), (4, 3), (5, 3), (6, 3), (7, 4)]
            .map { Row(user: $0.0, item: $0.1) }
        let snapshot = try fit(rows, items: 6)
        let scorer = Scorer()
        #expect(scorer.ranked(history: [event(0)], snapshot: snapshot, limit: 10) == [1, 2, 3, 4, 5])
        #expect(scorer.ranked(history: [event(0)], snapshot: snapshot, limit: 1) == [1])
        #expect(scorer.ranked(history: [event(0), event(1)], snapshot: snapshot, limit: 2) == [2, 3])
        #expect(scorer.ranked(history: [event(0), event(1, .hide)], snapshot: snapshot, limit: 2) == [2, 3])
        #expect(scorer.ranked(history: [], snapshot: snapshot, limit: 2) == [3, 0])
        #expect(scorer.ranked(history: [event(0, .view)], snapshot: snapshot, limit: 2) == [1, 2])
        #expect(scorer.ranked(history: [event(0, .dislike)], snapshot: snapshot, limit: 2) == [3, 1])
        #expect(scorer.ranked(history: [event(0)], snapshot: snapshot, limit: -1).isEmpty)
    }

    @Test("the ranking is that of a scan of all items", arguments: 0..<20)
    func bruteForce(seed: Int) throws {
        var generator = SeededGenerator(UInt64(seed))
        let snapshot = try fit(randomRows(1_500, users: 60, items: 200, using: &generator), items: 200)
        let history = randomHistory(20, items: 200, using: &generator)
        let reference = ReferenceScorer(history: history, snapshot: snapshot, policy: .builtIn, excluded: [])
        let found = Scorer().ranked(history: history, snapshot: snapshot, limit: 40)
        #expect(found == reference.ranked(limit: 40))
    }

    @Test("so it is where weights cancel and edges are repeated, one user after the other", arguments: 0..<20)
    func cancelling(seed: Int) throws {
        var generator = SeededGenerator(UInt64(seed))
        var edges = GivenNeighbours()
        for item in UInt32(0)..<60 {
            for _ in 0..<80 {
                let neighbour = UInt32.random(in: 0..<60, using: &generator)
                edges.append(item: item, neighbour: neighbour, weight: Bool.random(using: &generator) ? 1 : -1)
            }
        }
        let input = FitInput(
            interactions: InteractionColumns(randomRows(300, users: 20, items: 60, using: &generator)),
            itemCount: 60,
            builtAt: someTime
        )
        let graph = edges.graph(itemCount: 60, limit: GivenNeighbours.maximumNeighbours)
        let snapshot = try SnapshotBuilder.snapshot(input, collaborative: graph, threads: 1)
        let scorer = Scorer()
        for _ in 0..<5 {
            // Of one moment, so that all weigh the same and sums come back to 0.
            let history = (0..<8).map { _ in event(UInt32.random(in: 0..<60, using: &generator)) }
            let reference = ReferenceScorer(history: history, snapshot: snapshot, policy: .builtIn, excluded: [])
            #expect(
                scorer.ranked(history: history, snapshot: snapshot, limit: 40) == reference.ranked(limit: 40)
            )
        }
    }
}
