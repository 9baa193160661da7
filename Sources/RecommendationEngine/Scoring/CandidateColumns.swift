import RecommendationCore

/// The items a history leads to that may be shown, gathered from the scratch into one run of memory.
struct CandidateColumns {
    /// Room for unseen candidates, most of it left over from earlier calls.
    private var room: [Candidate] = []
    private var unseenCount = 0
    private var scores: [Float] = []
    private var histogram = ScoreHistogram()
    private(set) var seen: [Candidate] = []
    /// The largest sums of unseen candidates; 0 where none is above it.
    private var largest = (collaborative: Float(0), content: Float(0))

    /// A candidate before division and weighting.
    struct Candidate {
        let item: Item.Number
        let collaborative: Float
        let content: Float
        let popularity: Float
    }

    /// Touched unseen items, and every seen one; banned and excluded items are neither.
    mutating func gather(_ scratch: ItemScratch, history: WeighedHistory, snapshot: Snapshot, excluded: [UInt64]) {
        if self.room.count < scratch.touchedCount {
            let none = Candidate(item: 0, collaborative: 0, content: 0, popularity: 0)
            self.room = [Candidate](repeating: none, count: scratch.marks.count)
        }
        (self.unseenCount, self.largest) = Self.gather(scratch, snapshot.popularity, excluded, into: &self.room)
        self.seen.removeAll(keepingCapacity: true)
        for item in history.seen where !scratch.has(item, .banned) && !excluded.contains(item) {
            let sums = scratch.sums(of: item)
            self.seen.append(
                Candidate(
                    item: item,
                    collaborative: sums.collaborative,
                    content: sums.content,
                    popularity: snapshot.popularity(of: item)
                )
            )
        }
    }

    /// Offers the unseen candidates to the heap: of many only those that can make it, as it is the sifting that costs.
    mutating func insertUnseen(_ factors: ComponentFactors, into top: inout TopKeys) {
        if self.scores.count < self.room.count { self.scores = [Float](repeating: 0, count: self.room.count) }
        Self.score(self.room, factors, count: self.unseenCount, into: &self.scores)
        var bound = -Float.infinity
        if self.unseenCount > 2 * top.capacity {
            bound = self.histogram.bound(reachedBy: top.capacity, ofFirst: self.unseenCount, self.scores)
        }
        let unseen = self.room.span
        let scores = self.scores.span
        for index in 0..<self.unseenCount {
            let score = scores[unchecked: index]
            // Of equal scores the item decides, which the key knows.
            if score >= bound, score >= top.leastScore {
                top.insert(RankKey.make(score, unseen[unchecked: index].item))
            }
        }
    }

    private static func score(
        _ candidates: [Candidate],
        _ factors: ComponentFactors,
        count: Int,
        into scores: inout [Float]
    ) {
        let candidates = candidates.span
        var scores = scores.mutableSpan
        for index in 0..<count { scores[unchecked: index] = factors.score(candidates[unchecked: index]) }
    }

    /// What sums are multiplied by: the policy's weight over the largest sum.
    func factors(_ weights: Policy.Weights, isPersonal: Bool) -> ComponentFactors {
        func sane(_ weight: Float) -> Float { weight > 0 ? min(weight, EventWeights.bound) : 0 }
        let popularity = sane(weights.popularity)
        guard isPersonal else { return .cold(popularity: popularity) }
        return ComponentFactors(
            collaborative: sane(weights.collaborative)
                / self.divisor(self.largest.collaborative) { $0.collaborative },
            content: sane(weights.content) / self.divisor(self.largest.content) { $0.content },
            popularity: popularity,
            leastCollaborative: -sane(weights.collaborative),
            leastContent: -sane(weights.content)
        )
    }

    private func divisor(_ largest: Float, _ sum: (Candidate) -> Float) -> Float {
        if largest > 0 { return largest }
        let magnitude = [self.room[..<self.unseenCount], self.seen[...]].joined().reduce(0) {
            max($0, sum($1).magnitude)
        }
        return magnitude > 0 ? magnitude : 1
    }

    private static func gather(
        _ scratch: ItemScratch,
        _ popularity: [Float],
        _ excluded: [UInt64],
        into room: inout [Candidate]
    ) -> (count: Int, largest: (collaborative: Float, content: Float)) {
        var room = room.mutableSpan
        let touched = scratch.touched.span
        let marks = scratch.marks.span
        let collaborative = scratch.collaborative.span
        let content = scratch.content.span
        let popularity = popularity.span
        var count = 0
        var largest = (collaborative: Float(0), content: Float(0))
        for position in 0..<scratch.touchedCount {
            let item = touched[unchecked: position]
            let isSeen = marks[unchecked: Int(item)] & ItemScratch.Mark.seen.rawValue != 0
            guard !isSeen, !excluded.contains(item) else { continue }
            let candidate = Candidate(
                item: item,
                collaborative: collaborative[unchecked: Int(item)],
                content: content[unchecked: Int(item)],
                // What came after the model is not in it.
                popularity: Int(item) < popularity.count ? popularity[unchecked: Int(item)] : 0
            )
            room[unchecked: count] = candidate
            count += 1
            largest.collaborative = max(largest.collaborative, candidate.collaborative)
            largest.content = max(largest.content, candidate.content)
        }
        return (count, largest)
    }
}

extension [UInt64] {
    /// Whether the bit of an item is set; bits beyond the end are not.
    @inline(__always)
    func contains(_ item: Item.Number) -> Bool {
        let word = Int(item >> 6)
        return word < self.count && self[word] >> UInt64(item & 63) & 1 != 0
    }
}
