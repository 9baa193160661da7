import Glibc
import RecommendationCore
import RecommendationEngine
import Testing

@Suite struct SnapshotBuilderTests {
    @Test("the weight of an edge is the shared users over the root of the product of both items' users")
    func cosine() throws {
        // Users of 0: a b c d; of 1: a b; of 2: a; of 3: e.
        let rows = [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (0, 2), (4, 3)].map { Row(user: $0.0, item: $0.1) }
        let graph = try fit(rows, items: 4).collaborative
        #expect(graph.neighbours(of: 0).map(\.item) == [1, 2])
        #expect(abs(graph.neighbours(of: 0)[0].weight - 2 / Float(8).squareRoot()) < 0.001)
        #expect(abs(graph.neighbours(of: 0)[1].weight - 0.5) < 0.001)
        #expect(graph.neighbours(of: 1).map(\.item) == [0, 2])
        #expect(graph.neighbours(of: 3).isEmpty)
        #expect(graph.neighbours(of: 99).isEmpty)
    }

    @Test("equal weights go by number, exactly, whatever the counts they come from")
    func ties() throws {
        // Item 2 shares 1 of its 1 users with item 0, item 1 shares 2 of its 4: the cosine is the same.
        let rows = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (3, 1), (4, 1), (2, 2)].map { Row(user: $0.0, item: $0.1) }
        let neighbours = try fit(rows, items: 3).collaborative.neighbours(of: 0)
        #expect(neighbours.map(\.item) == [1, 2])
        #expect(neighbours[0].weight == neighbours[1].weight)
    }

    @Test("repeated events of a user on an item are one pair, and a pair that sums to 0 or less is none")
    func distinctPositivePairs() throws {
        let rows = [
            Row(user: 0, item: 0), Row(user: 0, item: 0), Row(user: 0, item: 1),
            Row(user: 0, item: 2, type: .click), Row(user: 0, item: 2, type: .dislike),
            Row(user: 0, item: 3, type: .hide),
        ]
        let neighbours = try fit(rows, items: 4).collaborative.neighbours(of: 0)
        #expect(neighbours == [Neighbour(item: 1, weight: 1)])
    }

    @Test("popularity is the log of the decayed, weighted count over that of the largest")
    func popularity() throws {
        let rows = [
            Row(user: 0, item: 0, type: .purchase, day: 0),
            Row(user: 0, item: 1, type: .purchase, day: -30),
            Row(user: 1, item: 2, type: .click, day: -60),
            Row(user: 1, item: 3, type: .hide, day: 0),
        ]
        let snapshot = try fit(rows, items: 5)
        #expect(snapshot.popularity[0] == 1)
        #expect(abs(Double(snapshot.popularity[1]) - log1p(2.5) / log1p(5)) < 1e-6)
        #expect(abs(Double(snapshot.popularity[2]) - log1p(0.25) / log1p(5)) < 1e-6)
        #expect(snapshot.popularity[3] == 0)
        #expect(snapshot.popularityOrder == [0, 1, 2, 3, 4])
        #expect(snapshot.newestEvent == Timestamp(seconds: 1_700_000_000))
        #expect(snapshot.counts == Snapshot.Counts(interactions: 4, users: 2, items: 4))
        #expect(snapshot.builtAt == someTime)
    }

    @Test("a negative event counts against what others gave")
    func negativePopularity() throws {
        let rows = [
            Row(user: 0, item: 0, type: .purchase), Row(user: 1, item: 0, type: .dislike),
            Row(user: 0, item: 1, type: .purchase),
        ]
        let snapshot = try fit(rows, items: 2)
        #expect(snapshot.popularityOrder == [1, 0])
        #expect(abs(Double(snapshot.popularity[0]) - log1p(3) / log1p(5)) < 1e-6)
    }

    @Test("ratings count by the user's mean, and one more while there are fewer than three")
    func ratings() throws {
        let rows = [
            // Mean 3: factors 1, 0, -1.
            Row(user: 0, item: 0, type: .rating, value: 5), Row(user: 0, item: 1, type: .rating, value: 3),
            Row(user: 0, item: 2, type: .rating, value: 1),
            // Two ratings, mean 4: factors 1.5 and 0.5.
            Row(user: 1, item: 3, type: .rating, value: 5), Row(user: 1, item: 4, type: .rating, value: 3),
        ]
        let popularity = try fit(rows, items: 5).popularity.map(Double.init)
        let expected = [log1p(1), 0, 0, log1p(1.5), log1p(0.5)].map { $0 / log1p(1.5) }
        for (found, wanted) in zip(popularity, expected) { #expect(abs(found - wanted) < 1e-6) }
    }

    @Test("only the newest events of a user say what goes together")
    func historyLimit() throws {
        var input = FitInput(
            interactions: InteractionColumns([
                Row(user: 0, item: 0, day: -3), Row(user: 0, item: 1, day: -1), Row(user: 0, item: 2, day: -2),
            ]),
            itemCount: 3,
            builtAt: someTime
        )
        input.limits.history = 2
        let graph = try SnapshotBuilder.fit(input, recipe: .cosine, threads: 1).collaborative
        #expect(graph.neighbours(of: 1).map(\.item) == [2])
        #expect(graph.neighbours(of: 0).isEmpty)
    }

    @Test("the artifact is the same byte for byte with 1, 2 and 3 threads")
    func determinism() throws {
        var generator = SeededGenerator(11)
        let rows = randomRows(4_000, users: 150, items: 300, using: &generator)
        let categories = randomCategories(300, kinds: 12, using: &generator)
        let artifacts = try [1, 2, 3].map { threads in
            SnapshotArtifact(try fit(rows, items: 300, categories: categories, threads: threads)).encode()
        }
        #expect(artifacts[0] == artifacts[1])
        #expect(artifacts[0] == artifacts[2])
    }
}

@Suite struct DegenerateInputTests {
    private func input(_ rows: [Row], items: Int) -> FitInput {
        FitInput(interactions: InteractionColumns(rows), itemCount: items, builtAt: someTime)
    }

    @Test("no items and no interactions make an empty snapshot")
    func empty() throws {
        let snapshot = try fit([], items: 0)
        #expect(snapshot.itemCount == 0)
        #expect(snapshot.newestEvent == nil)
        #expect(SnapshotArtifact(snapshot).encode() == SnapshotArtifact(.empty(builtAt: someTime)).encode())
    }

    @Test("items without interactions have no neighbours and no popularity")
    func noInteractions() throws {
        let snapshot = try fit([], items: 3, threads: 0)
        #expect(snapshot.popularity == [0, 0, 0])
        #expect(snapshot.popularityOrder == [0, 1, 2])
        #expect(snapshot.collaborative.edgeCount == 0)
    }

    @Test("one item, one user")
    func single() throws {
        let snapshot = try fit([Row(user: 0, item: 0)], items: 1)
        #expect(snapshot.popularity == [1])
        #expect(snapshot.collaborative.neighbours(of: 0).isEmpty)
    }

    @Test("users who all have the same items make every item the neighbour of every other")
    func allSame() throws {
        let rows = (0..<5).flatMap { user in (0..<4).map { Row(user: user, item: $0) } }
        let snapshot = try fit(rows, items: 4, categories: [[1], [1], [1], [1]])
        #expect(snapshot.collaborative.neighbours(of: 2) == [0, 1, 3].map { Neighbour(item: $0, weight: 1) })
        #expect(snapshot.content.neighbours(of: 2) == [0, 1, 3].map { Neighbour(item: $0, weight: 1) })
        #expect(snapshot.popularity == [1, 1, 1, 1])
    }

    @Test("interactions that cannot be used count nothing")
    func unusable() throws {
        var columns = InteractionColumns([Row(user: 0, item: 0)])
        columns.append(user: 1, item: 9, type: EventType.click.code, value: 1, seconds: 0)
        columns.append(user: 1, item: 1, type: 200, value: 1, seconds: 0)
        columns.append(user: 2, item: 1, type: EventType.rating.code, value: .nan, seconds: 0)
        columns.append(user: 2, item: 1, type: EventType.rating.code, value: .infinity, seconds: 0)
        columns.append(user: 3, item: 1, type: EventType.click.code, value: 1, seconds: .max)
        columns.append(user: 3, item: 1, type: EventType.click.code, value: 1, seconds: .min)
        let snapshot = try SnapshotBuilder.fit(
            FitInput(interactions: columns, itemCount: 2, builtAt: someTime),
            threads: 2
        )
        #expect(snapshot.counts == Snapshot.Counts(interactions: 1, users: 1, items: 1))
        #expect(snapshot.popularity == [1, 0])
    }

    @Test("weights and half-lives that are no numbers do no harm", arguments: [Double.nan, 0, -1, .infinity])
    func senselessSettings(halfLife: Double) throws {
        var input = self.input([Row(user: 0, item: 0), Row(user: 0, item: 1, type: .view, day: -9)], items: 2)
        input.halfLifeDays = halfLife
        input.eventWeights = [.click: .nan, .view: .greatestFiniteMagnitude]
        let snapshot = try SnapshotBuilder.fit(input, threads: 1)
        #expect(snapshot.popularity == [0, 1])
    }

    @Test("user indices that are not dense are refused")
    func sparseUsers() {
        #expect(throws: FitError.usersNotDense(highest: .max)) {
            try SnapshotBuilder.fit(self.input([Row(user: .max, item: 0)], items: 1), threads: 1)
        }
    }

    @Test("a count of items that no model can have is refused", arguments: [-1, SnapshotBuilder.maximumItemCount + 1])
    func itemCount(count: Int) {
        #expect(throws: FitError.itemCountOutOfRange(count)) {
            try SnapshotBuilder.fit(self.input([], items: count), threads: 1)
        }
    }

    @Test("a user with very many events costs no more than the newest 500")
    func heavyUser() throws {
        let rows = (0..<200_000).map { Row(user: 0, item: UInt32($0 % 5_000), day: Double($0) / 86_400) }
        let snapshot = try fit(rows, items: 5_000)
        #expect(snapshot.counts.interactions == 200_000)
        #expect(snapshot.collaborative.edgeCount == 500 * 100)
        #expect(snapshot.collaborative.neighbours(of: 4_999).count == 100)
        #expect(snapshot.collaborative.neighbours(of: 0).isEmpty)
    }
}
