import Glibc
import RecommendationCore
import RecommendationEngine

/// The scoring rules written down plainly, over every item: what ``Scorer`` must agree with.
struct ReferenceScorer {
    let snapshot: Snapshot
    let policy: Policy
    let excluded: Set<Item.Number>
    private(set) var weights: [(item: Item.Number, weight: Float)] = []
    private(set) var seen: Set<Item.Number> = []
    private(set) var banned: Set<Item.Number> = []
    private(set) var isPersonal = false

    init(history: [HistoryEvent], snapshot: Snapshot, policy: Policy, excluded: Set<Item.Number>) {
        self.snapshot = snapshot
        self.policy = policy
        self.excluded = excluded
        self.seen = Set(history.filter { $0.type != .view }.map(\.item))
        self.banned = Set(history.filter { $0.type == .hide || $0.type == .dislike }.map(\.item))
        let ratings = history.filter { $0.type == .rating }.map { Double($0.value) }
        let mean = ratings.isEmpty ? 0 : ratings.reduce(0, +) / Double(ratings.count)
        for event in history.prefix(500) {
            var weight = policy.eventWeights[event.type] ?? 0
            if event.type == .rating {
                weight *= Float(min(max((Double(event.value) - mean) / 2, -1), 1)) + (ratings.count < 3 ? 1 : 0)
            }
            self.isPersonal = self.isPersonal || weight > 0
            let age = Double(history[0].occurredAt.microseconds - event.occurredAt.microseconds) / 1_000_000
            let decayed = Float(Double(weight) * exp2(age * (-1 / (policy.halfLifeDays * 86_400))))
            if let index = self.weights.firstIndex(where: { $0.item == event.item }) {
                self.weights[index].weight += decayed
            } else {
                self.weights.append((event.item, decayed))
            }
        }
    }

    struct Scored {
        var item: Item.Number
        var collaborative: Float = 0
        var content: Float = 0
        var popularity: Float = 0
        var isTouched = false
        var score: Float { self.collaborative + self.content + self.popularity }
    }

    func pool() -> (unseen: [Scored], seen: [Scored]) {
        var all = self.sums()
        if !self.isPersonal {
            for index in all.indices {
                (all[index].collaborative, all[index].content, all[index].isTouched) = (0, 0, false)
            }
        }
        let eligible = all.filter { !self.banned.contains($0.item) && !self.excluded.contains($0.item) }
        var unseen = eligible.filter {
            !self.seen.contains($0.item) && ($0.isTouched || self.snapshot.popularity[Int($0.item)] > 0)
        }
        var seen = eligible.filter { self.seen.contains($0.item) }
        func divisor(_ sum: (Scored) -> Float) -> Float {
            let largest = unseen.map(sum).max() ?? 0
            if largest > 0 { return largest }
            let magnitude = (unseen + seen).map { sum($0).magnitude }.max() ?? 0
            return magnitude > 0 ? magnitude : 1
        }
        let weights = self.policy.weights
        let collaborative = weights.collaborative / divisor(\.collaborative)
        let content = weights.content / divisor(\.content)
        func weighted(_ scored: Scored) -> Scored {
            var scored = scored
            scored.collaborative = max(scored.collaborative * collaborative, -weights.collaborative)
            scored.content = max(scored.content * content, -weights.content)
            scored.popularity = self.snapshot.popularity[Int(scored.item)] * weights.popularity
            return scored
        }
        unseen = Self.best(unseen.map(weighted), self.policy.poolSize)
        seen = Self.best(seen.map(weighted), Scorer.seenLimit)
        return (unseen, seen)
    }

    func ranked(limit: Int) -> [Item.Number] {
        var sums = (0..<self.snapshot.itemCount).map { Scored(item: Item.Number($0)) }
        for (item, weight) in self.weights where weight > 0 {
            for neighbour in self.snapshot.collaborative.neighbours(of: item) {
                sums[Int(neighbour.item)].collaborative += weight * neighbour.weight
                sums[Int(neighbour.item)].isTouched = true
            }
        }
        let found = Self.best(sums.filter { $0.score > 0 && !self.seen.contains($0.item) }, limit).map(\.item)
        let rest = self.snapshot.popularityOrder.filter { !self.seen.contains($0) && !(sums[Int($0)].score > 0) }
        return Array((found + rest).prefix(limit))
    }

    /// What a history item adds to a component of an item.
    func contribution(of seed: Item.Number, to item: Item.Number, _ component: Component) -> Float {
        let neighbours =
            component == .collaborative
            ? self.snapshot.collaborative.neighbours(of: seed) : self.snapshot.content.neighbours(of: seed)
        let weight = self.weights.first { $0.item == seed }?.weight ?? 0
        return weight * (neighbours.first { $0.item == item }?.weight ?? 0)
    }

    private func sums() -> [Scored] {
        var sums = (0..<self.snapshot.itemCount).map { Scored(item: Item.Number($0)) }
        for (item, weight) in self.weights where weight != 0 {
            for neighbour in self.snapshot.collaborative.neighbours(of: item) {
                sums[Int(neighbour.item)].collaborative += weight * neighbour.weight
                sums[Int(neighbour.item)].isTouched = true
            }
            for neighbour in self.snapshot.content.neighbours(of: item) {
                sums[Int(neighbour.item)].content += weight * neighbour.weight
                sums[Int(neighbour.item)].isTouched = true
            }
        }
        return sums
    }

    private static func best(_ scored: [Scored], _ limit: Int) -> [Scored] {
        Array(scored.sorted { $0.score != $1.score ? $0.score > $1.score : $0.item < $1.item }.prefix(limit))
    }
}
