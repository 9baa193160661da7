import RecommendationCore
import RecommendationEngine
import Testing

@Suite struct ContentGraphTests {
    @Test("similarity is Jaccard's, ties go by popularity and then by number")
    func knownAnswer() throws {
        let rows = [
            Row(user: 0, item: 4), Row(user: 1, item: 4), Row(user: 0, item: 1),
        ]
        // 0: {a b}; 1: {b a}, equal; 2 and 4: {a}; 3: {a b c}; 5: {z}; 6: none.
        let snapshot = try fit(
            rows,
            items: 7,
            categories: [[1, 2], [2, 1, 2], [1], [1, 2, 3], [1], [9], []]
        )
        let neighbours = snapshot.content.neighbours(of: 0)
        #expect(neighbours.map(\.item) == [1, 3, 4, 2])
        #expect(zip(neighbours, [1, 2.0 / 3, 0.5, 0.5]).allSatisfy { abs(Double($0.weight) - $1) < 0.001 })
        #expect(snapshot.content.neighbours(of: 2).map(\.item) == [4, 1, 0, 3])
        #expect(snapshot.content.neighbours(of: 5).isEmpty)
        #expect(snapshot.content.neighbours(of: 6).isEmpty)
        #expect(snapshot.content.neighbours(of: 99).isEmpty)
        #expect(snapshot.content.groupCount == 4)
    }

    @Test("neighbours are those of a comparison of all pairs", arguments: 0..<6)
    func bruteForce(seed: Int) throws {
        var generator = SeededGenerator(UInt64(100 + seed))
        let rows = randomRows(500, users: 30, items: 200, using: &generator)
        let categories = randomCategories(200, kinds: UInt32(3 + seed * 4), using: &generator)
        let snapshot = try fit(rows, items: 200, categories: categories, threads: 3)
        let sets = categories.map(Set.init)
        for item in 0..<200 {
            let expected = (0..<200)
                .filter { $0 != item && !sets[$0].isDisjoint(with: sets[item]) }
                .map { other in
                    let union = sets[item].union(sets[other]).count
                    let jaccard = Float(sets[item].intersection(sets[other]).count) / Float(union)
                    return (item: other, jaccard: jaccard, popularity: snapshot.popularity[other])
                }
                .sorted {
                    if $0.jaccard != $1.jaccard { return $0.jaccard > $1.jaccard }
                    return $0.popularity != $1.popularity ? $0.popularity > $1.popularity : $0.item < $1.item
                }
                .prefix(ContentGraph.neighbourLimit)
            let found = snapshot.content.neighbours(of: Item.Number(item))
            #expect(found.map { Int($0.item) } == expected.map(\.item))
            #expect(zip(found, expected).allSatisfy { abs($0.weight - $1.jaccard) < 0.001 })
        }
    }

    @Test("a category of many groups leads to those with the most popular items, compared exactly")
    func cut() throws {
        // All share category 0; each has one of its own; items 0 and 1 share another one as well.
        var categories = (0..<10).map { [UInt32(0), UInt32(100 + $0)] }
        categories[0].append(50)
        categories[1].append(50)
        var input = FitInput(
            interactions: InteractionColumns((0..<5).map { Row(user: $0, item: 7) } + [Row(user: 0, item: 8)]),
            itemCount: 10,
            categories: CategorySets(categories),
            builtAt: someTime
        )
        input.limits.groupsPerCategory = 2
        let content = try SnapshotBuilder.fit(input, threads: 1).content
        let neighbours = content.neighbours(of: 0)
        #expect(neighbours.map(\.item) == [1, 7, 8])
        #expect(abs(neighbours[0].weight - 0.5) < 0.001)
        #expect(abs(neighbours[1].weight - 0.25) < 0.001)
        #expect(content.neighbours(of: 9).map(\.item) == [7, 8])
    }
}
