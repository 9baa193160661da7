import RecommendationCore
import RecommendationEngine
import Testing

@testable import Training

/// Which recipe a model is built by, and what it is judged on.
@Suite("Choice of a recipe")
struct RecipeChoiceTests {
    /// Users of two kinds who have items of their kind, one a day.
    private func set(users order: [Int64] = Array(0..<60)) -> TrainingSet {
        var columns = InteractionColumns()
        for (index, user) in order.enumerated() {
            for day in Int64(0)..<8 {
                let item = (user * 5 + day * 7) % 12 + user % 2 * 12
                columns.append(
                    user: UInt32(index),
                    item: UInt32(item),
                    type: EventType.purchase.code,
                    value: 1,
                    seconds: day * 86_400 + user
                )
            }
        }
        let items = (0..<24).map { number in
            NumberedItem(number: number, item: Item(id: Item.ID(trusted: "i\(number)"), title: ""))
        }
        return TrainingSet(items: items, interactions: columns, users: order)
    }

    private func holdOut(_ set: TrainingSet) throws -> HoldOut {
        try HoldOut(set, users: 20, builtAt: Timestamp(seconds: 900_000), policy: .builtIn)
    }

    @Test("every recipe is judged by the same users, and neighbours beat popularity where there are kinds")
    func outcomes() throws {
        let outcomes = try self.holdOut(self.set()).outcomes(of: Recipe.named, threads: 2)
        #expect(outcomes.map(\.recipe) == Recipe.named)
        #expect(outcomes.allSatisfy { $0.metrics["users"] == 20 })
        let popularity = outcomes[0].gain
        #expect(outcomes.dropFirst().allSatisfy { $0.gain > popularity })
    }

    @Test("who is judged by, and so what is chosen, does not depend on the order of the users")
    func order() throws {
        let there = try self.holdOut(self.set()).outcomes(of: [.popularity], threads: 1)
        let back = try self.holdOut(self.set(users: (0..<60).reversed())).outcomes(of: [.popularity], threads: 1)
        #expect(there.map(\.metrics) == back.map(\.metrics))
        #expect(self.set(users: [9, 3, 7]).usersByNumber == [1, 2, 0])
    }

    @Test("without anybody to judge by nothing is tried")
    func nobody() throws {
        let set = TrainingSet(items: self.set().items, interactions: InteractionColumns(), users: [])
        #expect(try self.holdOut(set).outcomes(of: nil, threads: 1).isEmpty)
    }

    @Test("histories are newest first, of one time the later row first, and leave out what is no event")
    func histories() {
        var columns = InteractionColumns()
        for (user, item, seconds) in [(0, 1, 5), (1, 9, 1), (0, 2, 7), (0, 3, 7), (0, 4, 6)]
            as [(UInt32, UInt32, Int64)]
        {
            columns.append(user: user, item: item, type: EventType.click.code, value: 1, seconds: seconds)
        }
        columns.append(user: 0, item: 5, type: 200, value: 1, seconds: 9)
        columns.append(user: 0, item: 6, type: EventType.click.code, value: 1, seconds: .max)
        let histories = Histories(columns, userCount: 3)
        #expect(histories[0].map(\.item) == [3, 2, 4, 1])
        #expect(histories[1].map(\.item) == [9])
        #expect(histories[2].isEmpty && histories.count(of: 2) == 0)
        histories.with(0) { #expect($0.count == 4) }
    }
}
