import RecommendationCore

/// The chosen candidates on their way to a pool: quantised, explained, ordered.
struct PoolDraft {
    struct Entry {
        let item: Item.Number
        /// Collaborative, content, popularity.
        let components: SIMD3<Float>
    }

    private let scales: [CandidatePool.Scale]
    private var unseen: [CandidatePool.Candidate]
    private var seen: [CandidatePool.Candidate]
    private var seeds: [Item.Number] = []

    init(unseen: [Entry], seen: [Entry]) {
        let scales = Component.allCases.map { Self.scale(of: $0.rawValue, unseen, seen) }
        func quantised(_ entry: Entry) -> CandidatePool.Candidate {
            CandidatePool.Candidate(
                item: entry.item,
                collaborative: scales[0].byte(entry.components.x),
                content: scales[1].byte(entry.components.y),
                popularity: scales[2].byte(entry.components.z),
                seed: CandidatePool.noSeed
            )
        }
        self.scales = scales
        self.unseen = unseen.map(quantised)
        self.seen = seen.map(quantised)
    }

    /// Names for each candidate the history item that added most to its largest component.
    ///
    /// A hidden or disliked item explains nothing. Of more than 16 seeds those of most candidates are kept, ties by number.
    mutating func explain(_ history: WeighedHistory, snapshot: Snapshot, scratch: inout ItemScratch) {
        var search = SeedSearch(self.unseen + self.seen, scales: self.scales)
        search.run(history, snapshot: snapshot, scratch: &scratch)
        var uses: [UInt16: Int] = [:]
        for seed in search.seeds where seed != 0 { uses[seed, default: 0] += 1 }
        let kept = uses.keys
            .sorted {
                let (left, right) = (uses[$0, default: 0], uses[$1, default: 0])
                return left != right ? left > right : history.items[Int($0) - 1] < history.items[Int($1) - 1]
            }
            .prefix(CandidatePool.maximumSeeds)
        self.seeds = kept.map { history.items[Int($0) - 1] }
        for (index, seed) in search.seeds.enumerated() {
            guard seed != 0, let position = kept.firstIndex(of: seed) else { continue }
            if index < self.unseen.count {
                self.unseen[index].seed = UInt8(position)
            } else {
                self.seen[index - self.unseen.count].seed = UInt8(position)
            }
        }
    }

    /// The pool, each list in the order of its dequantised scores, ties by number.
    func pool(isPersonal: Bool) -> CandidatePool {
        CandidatePool(
            scales: self.scales,
            seeds: self.seeds,
            unseen: self.ordered(self.unseen),
            seen: self.ordered(self.seen),
            isPersonal: isPersonal
        )
    }

    private func ordered(_ candidates: [CandidatePool.Candidate]) -> [CandidatePool.Candidate] {
        let (first, second, third) = (self.scales[0], self.scales[1], self.scales[2])
        // The sum in the order of CandidatePool.score, which defines it.
        var keyed = candidates.map { candidate in
            let score =
                first.value(candidate.collaborative) + second.value(candidate.content)
                + third.value(candidate.popularity)
            return (key: RankKey.make(score, candidate.item), candidate: candidate)
        }
        keyed.sort { $0.key > $1.key }
        return keyed.map(\.candidate)
    }

    private static func scale(of component: Int, _ unseen: [Entry], _ seen: [Entry]) -> CandidatePool.Scale {
        var least = Float.infinity
        var largest = -Float.infinity
        for entries in [unseen, seen] {
            for entry in entries {
                least = min(least, entry.components[component])
                largest = max(largest, entry.components[component])
            }
        }
        guard least < largest else { return CandidatePool.Scale(offset: least.isFinite ? least : 0, step: 0) }
        return CandidatePool.Scale(offset: least, step: (largest - least) / 255)
    }
}

extension CandidatePool.Scale {
    /// The nearest byte.
    fileprivate func byte(_ value: Float) -> UInt8 {
        guard self.step > 0 else { return 0 }
        return UInt8(min(max(((value - self.offset) / self.step).rounded(), 0), 255))
    }
}
