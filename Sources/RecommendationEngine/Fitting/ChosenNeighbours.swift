import RecommendationCore

/// The neighbours each item keeps, with what is shared, in no order within a row: the first step of a ``ProductPlan``.
///
/// A sparse product of the pairs with themselves, a row at a time: from an item to its users to their items, summed in a
/// dense array per worker that stays in the second-level cache; the best are kept in a bounded heap, which of many sees only
/// those that can make it, by a histogram. The work is the sum over
/// users of the square of their items, which is why histories are capped. A row is summed in the order of its users, and no
/// row depends on another, so the result is the same however many threads there are.
struct ChosenNeighbours: Sendable {
    /// Where a row begins; there may be room behind its last neighbour.
    let starts: [Int]
    /// Neighbours by row.
    let counts: [UInt32]
    let ids: [Item.Number]
    let shared: [Float]

    var rowCount: Int { self.counts.count }

    @inline(__always)
    func row(_ index: Int) -> Range<Int> {
        let start = self.starts[index]
        return start..<start + Int(self.counts[index])
    }

    init(starts: [Int], counts: [UInt32], ids: [Item.Number], shared: [Float]) {
        self.starts = starts
        self.counts = counts
        self.ids = ids
        self.shared = shared
    }

    init(_ pairs: PositivePairs, selection: ProductPlan.Selection, neighbours: Int, threads: Int) {
        let itemCount = pairs.itemCount
        let degrees = pairs.itemDegrees
        let costs = pairs.costs
        var starts = [0]
        starts.reserveCapacity(itemCount + 1)
        for cost in costs { starts.append(starts[starts.count - 1] + min(cost, neighbours, itemCount)) }
        let room = starts[itemCount]
        let userFactors = selection.user.table(pairs.userDegrees, itemCount: itemCount)
        let itemFactors: [Float]? =
            switch selection.choice {
            case .scaled(let factor): factor.table(degrees)
            case .jaccard: nil
            }
        let order = Dealer.descending(costs)

        var counts = [UInt32](repeating: 0, count: itemCount)
        var ids = [Item.Number](repeating: 0, count: room)
        var shared = [Float](repeating: 0, count: room)
        let roomStarts = starts
        counts.withPlaces { counts in
            ids.withPlaces { ids in
                shared.withPlaces { shared in
                    let target = ChoiceWorker.Target(counts: counts, ids: ids, shared: shared, starts: roomStarts)
                    Dealer.deal(
                        order.count,
                        atOnce: 4,
                        threads: threads,
                        state: {
                            ChoiceWorker(
                                pairs,
                                userFactors: userFactors,
                                itemFactors: itemFactors,
                                degrees: degrees,
                                neighbours: neighbours
                            )
                        },
                        body: { $0.choose(Int(order[$1]), into: target) }
                    )
                }
            }
        }
        self.starts = starts
        self.counts = counts
        self.ids = ids
        self.shared = shared
    }
}

/// Chooses the neighbours of one item after the other, with scratch of its own.
private struct ChoiceWorker {
    /// Every row is written by one worker, to places of its own.
    struct Target: Sendable {
        let counts: Places<UInt32>
        let ids: Places<Item.Number>
        let shared: Places<Float>
        let starts: [Int]
    }

    private let pairs: PositivePairs
    private let userFactors: [Float]
    /// nil: Jaccard.
    private let itemFactors: [Float]?
    private let degrees: [Float]
    private let neighbours: Int
    private var sums: [Float]
    private var touched: [UInt32]
    private var scores: [Float]
    private var histogram = ScoreHistogram()
    private var top = TopKeys()

    init(
        _ pairs: PositivePairs,
        userFactors: [Float],
        itemFactors: [Float]?,
        degrees: [Float],
        neighbours: Int
    ) {
        self.pairs = pairs
        self.userFactors = userFactors
        self.itemFactors = itemFactors
        self.degrees = degrees
        self.neighbours = neighbours
        self.sums = [Float](repeating: 0, count: pairs.itemCount)
        // One more, because a position is written before it is known whether it counts.
        self.touched = [UInt32](repeating: 0, count: pairs.itemCount + 1)
        self.scores = [Float](repeating: 0, count: pairs.itemCount)
    }

    mutating func choose(_ row: Int, into target: Target) {
        let touchedCount = Self.sum(row, self.pairs, self.userFactors, sums: &self.sums, touched: &self.touched)
        // No item is its own neighbour: what is not above 0 does not make it.
        self.sums[row] = 0
        if let factors = self.itemFactors {
            Self.score(self.touched, first: touchedCount, factors: factors, sums: &self.sums, into: &self.scores)
        } else {
            Self.score(
                self.touched,
                first: touchedCount,
                degree: self.degrees[row],
                degrees: self.degrees,
                sums: &self.sums,
                into: &self.scores
            )
        }
        self.top.reset(capacity: self.neighbours)
        var bound: Float = 0
        if touchedCount > 2 * self.neighbours {
            bound = max(0, self.histogram.bound(reachedBy: self.neighbours, ofFirst: touchedCount, self.scores))
        }
        Self.select(self.touched, self.scores, first: touchedCount, from: bound, into: &self.top)
        target.counts[row] = UInt32(self.top.keys.count)
        var place = target.starts[row]
        for key in self.top.keys {
            let item = RankKey.number(key)
            target.ids[place] = item
            target.shared[place] = RankKey.score(key) / (self.itemFactors?[Int(item)] ?? 1)
            place += 1
        }
    }

    // Items and users are numbers the pairs were made of, below the length of every array here.

    private static func sum(
        _ row: Int,
        _ pairs: PositivePairs,
        _ userFactors: [Float],
        sums: inout [Float],
        touched: inout [UInt32]
    ) -> Int {
        var touchedCount = 0
        var sums = sums.mutableSpan
        var touched = touched.mutableSpan
        let users = pairs.usersOfItem.values.span
        let items = pairs.itemsOfUser.values.span
        let offsets = pairs.itemsOfUser.offsets.span
        let factors = userFactors.span
        for userPosition in pairs.usersOfItem[row] {
            let user = Int(users[unchecked: userPosition])
            let factor = factors[unchecked: user]
            // What counts nothing would be touched without a trace.
            guard factor > 0 else { continue }
            var position = offsets[unchecked: user]
            let end = offsets[unchecked: user &+ 1]
            while position < end {
                let item = items[unchecked: position]
                let sum = sums[unchecked: Int(item)]
                touched[unchecked: touchedCount] = item
                touchedCount &+= sum == 0 ? 1 : 0
                sums[unchecked: Int(item)] = sum + factor
                position &+= 1
            }
        }
        return touchedCount
    }

    /// What is shared, times a factor; leaves the sums zero.
    private static func score(
        _ touched: [UInt32],
        first touchedCount: Int,
        factors: [Float],
        sums: inout [Float],
        into scores: inout [Float]
    ) {
        var sums = sums.mutableSpan
        var scores = scores.mutableSpan
        let touched = touched.span
        let factors = factors.span
        for position in 0..<touchedCount {
            let item = Int(touched[unchecked: position])
            scores[unchecked: position] = sums[unchecked: item] * factors[unchecked: item]
            sums[unchecked: item] = 0
        }
    }

    /// What is shared, over what either has; leaves the sums zero.
    private static func score(
        _ touched: [UInt32],
        first touchedCount: Int,
        degree: Float,
        degrees: [Float],
        sums: inout [Float],
        into scores: inout [Float]
    ) {
        var sums = sums.mutableSpan
        var scores = scores.mutableSpan
        let touched = touched.span
        let degrees = degrees.span
        for position in 0..<touchedCount {
            let item = Int(touched[unchecked: position])
            let shared = sums[unchecked: item]
            scores[unchecked: position] = shared / (degree + degrees[unchecked: item] - shared)
            sums[unchecked: item] = 0
        }
    }

    private static func select(
        _ touched: [UInt32],
        _ scores: [Float],
        first touchedCount: Int,
        from bound: Float,
        into top: inout TopKeys
    ) {
        let touched = touched.span
        let scores = scores.span
        for position in 0..<touchedCount {
            let score = scores[unchecked: position]
            // Of equal scores the item decides, which the key knows.
            guard score >= bound, score >= top.leastScore, score > 0 else { continue }
            top.insert(RankKey.make(score, touched[unchecked: position]))
        }
    }
}
