import RecommendationCore

/// The neighbours each item keeps, with what is shared, in no order within a row: the first step of a ``ProductPlan``.
///
/// A sparse product of the pairs with themselves, a row at a time: from an item to its users to their items, summed in a
/// dense array per worker that stays in the second-level cache, the best kept in a bounded heap. The work is the sum over
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
    }

    mutating func choose(_ row: Int, into target: Target) {
        let touchedCount = Self.sum(row, self.pairs, self.userFactors, sums: &self.sums, touched: &self.touched)
        // No item is its own neighbour: what is not above 0 does not make it.
        self.sums[row] = 0
        self.top.reset(capacity: self.neighbours)
        if let factors = self.itemFactors {
            Self.rank(self.touched, first: touchedCount, factors: factors, sums: &self.sums, into: &self.top)
        } else {
            Self.rank(
                self.touched,
                first: touchedCount,
                degree: self.degrees[row],
                degrees: self.degrees,
                sums: &self.sums,
                into: &self.top
            )
        }
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

    private static func rank(
        _ touched: [UInt32],
        first touchedCount: Int,
        factors: [Float],
        sums: inout [Float],
        into top: inout TopKeys
    ) {
        var sums = sums.mutableSpan
        let touched = touched.span
        let factors = factors.span
        var position = 0
        while position < touchedCount {
            let item = touched[unchecked: position]
            let score = sums[unchecked: Int(item)] * factors[unchecked: Int(item)]
            sums[unchecked: Int(item)] = 0
            position &+= 1
            // Of equal scores the item decides, which the key knows.
            guard score >= top.leastScore, score > 0 else { continue }
            top.insert(RankKey.make(score, item))
        }
    }

    private static func rank(
        _ touched: [UInt32],
        first touchedCount: Int,
        degree: Float,
        degrees: [Float],
        sums: inout [Float],
        into top: inout TopKeys
    ) {
        var sums = sums.mutableSpan
        let touched = touched.span
        let degrees = degrees.span
        for position in 0..<touchedCount {
            let item = touched[unchecked: position]
            let shared = sums[unchecked: Int(item)]
            sums[unchecked: Int(item)] = 0
            let score = shared / (degree + degrees[unchecked: Int(item)] - shared)
            guard score >= top.leastScore, score > 0 else { continue }
            top.insert(RankKey.make(score, item))
        }
    }
}
