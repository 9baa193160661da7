import RecommendationCore
import RecommendationEngine
import Testing

@Suite struct DiversityTests {
    private func choose(
        _ limit: Int,
        _ categories: [UInt32?],
        maximum: Int,
        window: Int
    ) -> (chosen: [Int], passedOver: Int) {
        var diversity = Diversity(maximumPerWindow: maximum, window: window)
        var chosen = [99]
        let passedOver = diversity.choose(
            limit,
            of: categories.count,
            category: { categories[$0] ?? Diversity.noCategory },
            into: &chosen
        )
        return (chosen, passedOver)
    }

    @Test("a category steps back once it has its share of the window, and returns when the window has moved on")
    func knownAnswer() {
        let (chosen, passedOver) = self.choose(6, [1, 1, 1, 2, 3, 1, 4, 5], maximum: 2, window: 4)
        // 1 1 | 2 3: the third 1 waits for the first to leave the window of four, then the fourth for the second.
        #expect(chosen == [0, 1, 3, 4, 2, 5])
        #expect(passedOver == 0)
    }

    @Test("what is passed over and not taken after all is counted")
    func passedOver() {
        let (chosen, passedOver) = self.choose(3, [1, 1, 1, 1, 2, 3], maximum: 1, window: 10)
        #expect(chosen == [0, 4, 5])
        #expect(passedOver == 3)
    }

    @Test("items without a category fall under no cap")
    func noCategory() {
        #expect(self.choose(5, [nil, nil, nil, nil, nil], maximum: 1, window: 3).chosen == [0, 1, 2, 3, 4])
    }

    @Test("a slate ends where the cap allows nobody")
    func short() {
        #expect(self.choose(10, [7, 7, 7, 7, 7], maximum: 3, window: 10).chosen == [0, 1, 2])
    }

    @Test(
        "0 switches the cap off, and so does one as long as the window",
        arguments: [(0, 10), (-1, 10), (3, 3), (1, 0)]
    )
    func off(maximum: Int, window: Int) {
        #expect(self.choose(3, [7, 7, 7, 7], maximum: maximum, window: window).chosen == [0, 1, 2])
    }

    @Test("no candidates and no room make empty slates", arguments: [0, -1, 5])
    func empty(limit: Int) {
        #expect(self.choose(limit, limit == 5 ? [] : [1, 2], maximum: 3, window: 10).chosen.isEmpty)
    }

    @Test("every rank has the best candidate the cap allows", arguments: 0..<300)
    func property(seed: Int) {
        var generator = SeededGenerator(UInt64(seed))
        let kinds = UInt32.random(in: 1...8, using: &generator)
        let categories: [UInt32?] = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
            Int.random(in: 0..<10, using: &generator) == 0 ? nil : UInt32.random(in: 0..<kinds, using: &generator)
        }
        let window = Int.random(in: 2...12, using: &generator)
        let maximum = Int.random(in: 1...window, using: &generator)
        let limit = Int.random(in: 0...100, using: &generator)
        let (chosen, passedOver) = self.choose(limit, categories, maximum: maximum, window: window)

        var expected: [Int] = []
        while expected.count < limit {
            let recent = expected.suffix(window - 1).map { categories[$0] }
            let next = categories.indices.first { index in
                guard !expected.contains(index) else { return false }
                guard let category = categories[index] else { return true }
                return recent.count { $0 == category } < maximum
            }
            guard let next else { break }
            expected.append(next)
        }
        #expect(chosen == expected)
        let looked = expected.count == limit ? (expected.max() ?? -1) + 1 : categories.count
        #expect(passedOver == looked - expected.count)
        for start in chosen.indices {
            let counts = chosen[start...].prefix(window).compactMap { categories[$0] }.reduce(into: [:]) {
                $0[$1, default: 0] += 1
            }
            #expect(counts.values.allSatisfy { $0 <= maximum })
        }
    }
}
