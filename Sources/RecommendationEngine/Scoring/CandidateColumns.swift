import RecommendationCore

/// A candidate before division and weighting.
struct RawCandidate {
    let item: Item.Number
    let collaborative: Float
    let content: Float
    let popularity: Float
}

/// What sums are multiplied by to become components.
struct ComponentFactors {
    let collaborative: Float
    let content: Float
    let popularity: Float
    /// Components do not fall below these.
    let leastCollaborative: Float
    let leastContent: Float

    @inline(__always)
    func components(_ candidate: RawCandidate) -> SIMD3<Float> {
        SIMD3(
            max(candidate.collaborative * self.collaborative, self.leastCollaborative),
            max(candidate.content * self.content, self.leastContent),
            candidate.popularity * self.popularity
        )
    }

    @inline(__always)
    func score(_ candidate: RawCandidate) -> Float {
        let components = self.components(candidate)
        return components.x + components.y + components.z
    }
}

/// The items a history leads to that may be shown, gathered from the scratch into one run of memory.
struct CandidateColumns {
    private(set) var unseen: [RawCandidate] = []
    private(set) var seen: [RawCandidate] = []

    /// Touched unseen items, and every seen one; banned and excluded items are neither.
    mutating func gather(_ scratch: ItemScratch, history: WeighedHistory, snapshot: Snapshot, excluded: [UInt64]) {
        self.unseen.removeAll(keepingCapacity: true)
        self.seen.removeAll(keepingCapacity: true)
        for item in scratch.touchedItems where scratch.isUnseen(item) && !excluded.contains(item) {
            self.unseen.append(Self.raw(item, scratch, snapshot))
        }
        for item in history.seen where !scratch.has(item, .banned) && !excluded.contains(item) {
            self.seen.append(Self.raw(item, scratch, snapshot))
        }
    }

    /// A cold user's components are those of popularity, with weight 1 where the policy gives it none.
    func factors(_ weights: Policy.Weights, isPersonal: Bool) -> ComponentFactors {
        func sane(_ weight: Float) -> Float { weight > 0 ? min(weight, EventWeights.bound) : 0 }
        let popularity = sane(weights.popularity)
        guard isPersonal else {
            return ComponentFactors(
                collaborative: 0,
                content: 0,
                popularity: popularity > 0 ? popularity : 1,
                leastCollaborative: 0,
                leastContent: 0
            )
        }
        return ComponentFactors(
            collaborative: sane(weights.collaborative) / self.divisor { $0.collaborative },
            content: sane(weights.content) / self.divisor { $0.content },
            popularity: popularity,
            leastCollaborative: -sane(weights.collaborative),
            leastContent: -sane(weights.content)
        )
    }

    @inline(__always)
    private func divisor(_ sum: (RawCandidate) -> Float) -> Float {
        let largest = self.unseen.reduce(0) { max($0, sum($1)) }
        if largest > 0 { return largest }
        let magnitude = [self.unseen, self.seen].joined().reduce(0) { max($0, sum($1).magnitude) }
        return magnitude > 0 ? magnitude : 1
    }

    @inline(__always)
    private static func raw(_ item: Item.Number, _ scratch: ItemScratch, _ snapshot: Snapshot) -> RawCandidate {
        let sums = scratch.sums(of: item)
        return RawCandidate(
            item: item,
            collaborative: sums.collaborative,
            content: sums.content,
            popularity: snapshot.popularity[Int(item)]
        )
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
