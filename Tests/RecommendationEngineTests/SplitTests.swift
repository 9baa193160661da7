import RecommendationCore
import Testing

@testable import RecommendationEngine

@Suite struct SplitTests {
    private func input(_ rows: [Row], items: Int) -> FitInput {
        FitInput(interactions: InteractionColumns(rows), itemCount: items, builtAt: someTime)
    }

    @Test("of each user the last fifth of the items is held back with all its rows, at least one item")
    func lastItems() throws {
        var rows = (0..<10).map { Row(user: 0, item: $0, day: Double($0)) }
        rows.append(Row(user: 0, item: 9, type: .view, day: -5))
        rows += [Row(user: 1, item: 3, day: 2), Row(user: 1, item: 4, day: 1)]
        // Nobody to judge by: one item; looks; nothing but dislike.
        rows += [Row(user: 2, item: 1), Row(user: 2, item: 1, day: 1)]
        rows += [Row(user: 3, item: 1, type: .view), Row(user: 3, item: 2, type: .view)]
        rows += [Row(user: 4, item: 1, type: .hide), Row(user: 4, item: 2, type: .dislike)]
        let split = try Split.lastItems(of: self.input(rows, items: 10), users: 9, order: [0, 1, 2, 3, 4])
        #expect(split.users.map(\.relevant) == [[9, 8], [3]])
        #expect(split.users[0].history.map(\.item) == [7, 6, 5, 4, 3, 2, 1, 0])
        #expect(split.users[1].history.map(\.item) == [4])
        #expect((0..<rows.count).filter(split.heldBack.contains) == [8, 9, 10, 11])
    }

    @Test("of one time the later row is the last")
    func ties() throws {
        let rows = [5, 2, 7, 1].map { Row(user: 0, item: $0) } + [Row(user: 1, item: 1, day: -9)]
        let split = try Split.lastItems(of: self.input(rows, items: 8), users: 1, order: [0])
        #expect(split.users.map(\.relevant) == [[1]])
        #expect(split.users[0].history.map(\.item) == [7, 2, 5])
    }

    @Test("users are taken evenly over the order")
    func evenly() throws {
        let rows = (0..<100).flatMap { user in
            (0..<2).map { Row(user: user, item: user * 2 + $0, day: Double(user)) }
        }
        let order = (0..<100).map { UInt32(99 - $0) }
        let split = try Split.lastItems(of: self.input(rows, items: 200), users: 4, order: order)
        #expect(split.users.map { $0.relevant[0] / 2 } == [99, 74, 49, 24])
    }

    @Test("where every user begins at one time, a fifth is drawn, evenly over the lists and the same one again")
    func withoutTimes() throws {
        let rows = (0..<300).flatMap { user in (0..<10).map { Row(user: user, item: user + $0, day: Double($0)) } }
        let order = (0..<300).map { UInt32($0) }
        let split = try Split.lastItems(of: self.input(rows, items: 310), users: 300, order: order)
        #expect(!split.isByTime)
        #expect(split.users.allSatisfy { $0.relevant.count == 2 && $0.history.count == 8 })
        let places = split.users.enumerated().flatMap { user, judged in judged.relevant.map { Int($0) - user } }
        for place in 0..<10 { #expect((30...90).contains(places.count { $0 == place })) }
        let again = try Split.lastItems(of: self.input(rows, items: 310), users: 300, order: order)
        #expect(again.users.map(\.relevant) == split.users.map(\.relevant))
        var real = rows
        for user in UInt32(0)..<40 { real.append(Row(user: user, item: 305, day: -1 - Double(user))) }
        #expect(try Split.lastItems(of: self.input(real, items: 310), users: 9, order: order).isByTime)
    }

    @Test("by time, what comes after the moment is held back from everybody, and known items are not looked for")
    func byTime() throws {
        let rows = [
            Row(user: 0, item: 0, day: 0), Row(user: 0, item: 1, day: 8), Row(user: 0, item: 0, day: 9),
            Row(user: 1, item: 2, day: 1), Row(user: 1, item: 3, day: 2),
            Row(user: 2, item: 4, day: 9), Row(user: 3, item: 1, day: 3), Row(user: 3, item: 1, day: 8),
        ]
        let split = try Split.byTime(of: self.input(rows, items: 5), share: 0.5, users: 10, order: [0, 1, 2, 3])
        #expect((0..<rows.count).filter(split.heldBack.contains) == [1, 2, 5, 7])
        #expect(split.users.map(\.relevant) == [[1]])
        #expect(split.users[0].history.map(\.item) == [0])
        #expect(try Split.byTime(of: self.input([], items: 5), share: 0.5, users: 10, order: []).users.isEmpty)
    }

    @Test("where nothing is usable, nobody is judged")
    func nothing() throws {
        var columns = InteractionColumns()
        columns.append(user: 0, item: 9, type: 200, value: 1, seconds: .max)
        columns.append(user: 0, item: 1, type: 2, value: 1, seconds: .min)
        let input = FitInput(interactions: columns, itemCount: 2, builtAt: someTime)
        #expect(try Split.lastItems(of: input, users: 3, order: [0, 7]).users.isEmpty)
        #expect(columns.event(1) == nil)
    }
}

@Suite struct RecipeTrialTests {
    /// Users of two kinds who have items of their kind; every item as popular as any other.
    private var rows: [Row] {
        var generator = SeededGenerator(4)
        return (0..<200).flatMap { user in
            (0..<12).shuffled(using: &generator).prefix(8).enumerated().map { place, item in
                Row(user: UInt32(user), item: UInt32(item + user % 2 * 12), day: Double(place + user))
            }
        }
    }

    @Test("neighbours find what popularity does not, and outcomes come in the order of the recipes")
    func outcomes() throws {
        let input = FitInput(interactions: InteractionColumns(self.rows), itemCount: 24, builtAt: someTime)
        let split = try Split.lastItems(of: input, users: 50, order: (0..<200).map { $0 })
        let recipes: [Recipe] = [.popularity, .cosine, .standard, .ease(lambda: 20)]
        let outcomes = try RecipeTrial.outcomes(of: recipes, input, split, threads: 2)
        #expect(outcomes.map(\.recipe) == recipes)
        #expect(outcomes.allSatisfy { $0.metrics["users"] == 50 })
        #expect(outcomes.dropFirst().allSatisfy { $0.gain > outcomes[0].gain && $0.metrics["recall_at_10"] == 1 })
        let one = try RecipeTrial.outcomes(of: recipes, input, split, threads: 1)
        #expect(one.map(\.metrics) == outcomes.map(\.metrics))
    }

    @Test("a recipe reaches alone what it reaches among others that share its steps")
    func shared() throws {
        let input = FitInput(interactions: InteractionColumns(self.rows), itemCount: 24, builtAt: someTime)
        let split = try Split.lastItems(of: input, users: 50, order: (0..<200).map { $0 })
        let all = try RecipeTrial.outcomes(of: nil, input, split, threads: 2)
        #expect(all.count == 18)
        #expect(all[0].recipe == .standard)
        for outcome in all {
            let alone = try RecipeTrial.outcomes(of: [outcome.recipe], input, split, threads: 1)
            #expect(alone.map(\.metrics) == [outcome.metrics])
            var masked = input
            masked.heldBack = split.heldBack
            let snapshot = try SnapshotBuilder.fit(masked, recipe: outcome.recipe, threads: 2)
            #expect(
                RecipeTrial.metrics(of: snapshot, split, terms: EventTerms(.builtIn), threads: 2) == outcome.metrics
            )
        }
    }

    @Test("a regression is tried where the catalogue is small")
    func candidates() {
        #expect(RecipeTrial.candidates(usedItems: 5_000).count == 18)
        #expect(RecipeTrial.candidates(usedItems: 5_001).count == 16)
        #expect(RecipeTrial.candidates(usedItems: 10_000).last == .ease(lambda: 250))
        #expect(RecipeTrial.candidates(usedItems: 10_001).count == 15)
        #expect(RecipeTrial.candidates(usedItems: 0).count == 15)
        #expect(RecipeTrial.candidates(usedItems: 0)[0] == .standard)
        // Without times one is tried, which does not count popularity off.
        let untimed = RecipeTrial.candidates(usedItems: 19_000, isByTime: false)
        #expect(untimed.count == 1)
        #expect(untimed.allSatisfy { $0.parameters["neighbour"] == 0 && $0.parameters["column_sum"] == 0 })
    }
}
