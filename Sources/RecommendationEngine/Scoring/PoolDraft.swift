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
    private let tried: [CandidatePool.Candidate]
    private var seeds: [Item.Number] = []

    /// - Parameter tried: What is tried out on the user, in the order in which it is; it explains itself.
    init(unseen: [Entry], seen: [Entry], tried: [Entry]) {
        let scales = Component.allCases.map { Self.scale(of: $0.rawValue, [unseen, seen, tried]) }
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
        self.tried = tried.map(quantised)
    }

    /// Names for each candidate the history item that added most to its largest component.
    ///
    /// A hidden or disliked item explains nothing. Of more than 16 seeds those of most candidates are kept, ties by number.
    mutating func explain(
        _ history: WeighedHistory,
        _ fresh: [FreshEdges.Edge],
        snapshot: Snapshot,
        scratch: inout ItemScratch
    ) {
        var search = SeedSearch(self.unseen + self.seen, scales: self.scales)
        search.run(history, fresh, snapshot: snapshot, scratch: &scratch)
        let seeds = search.seeds
        var uses = [UInt32](repeating: 0, count: history.items.count + 1)
        for seed in seeds { uses[Int(seed)] += 1 }
        var used: [(key: UInt64, seed: Int)] = []
        for seed in 1..<uses.count where uses[seed] > 0 {
            used.append((UInt64(uses[seed]) << 32 | UInt64(~history.items[seed - 1]), seed))
        }
        used.sort { $0.key > $1.key }
        var positions = [UInt8](repeating: CandidatePool.noSeed, count: uses.count)
        for (position, use) in used.prefix(CandidatePool.maximumSeeds).enumerated() {
            positions[use.seed] = UInt8(position)
            self.seeds.append(history.items[use.seed - 1])
        }
        for index in self.unseen.indices { self.unseen[index].seed = positions[Int(seeds[index])] }
        for index in self.seen.indices { self.seen[index].seed = positions[Int(seeds[self.unseen.count + index])] }
    }

    /// The pool, each list in the order of its dequantised scores, ties by number.
    func pool(seenLeftOut: Int, isPersonal: Bool, lot: UInt16) -> CandidatePool {
        CandidatePool(
            scales: self.scales,
            seeds: self.seeds,
            unseen: self.ordered(self.unseen),
            seen: self.ordered(self.seen),
            seenLeftOut: seenLeftOut,
            isPersonal: isPersonal,
            tried: self.tried,
            triedLot: self.tried.isEmpty ? 0 : lot
        )
    }

    private func ordered(_ candidates: [CandidatePool.Candidate]) -> [CandidatePool.Candidate] {
        let (first, second, third) = (self.scales[0], self.scales[1], self.scales[2])
        // The sum in the order of CandidatePool.score, which defines it.
        let scores = candidates.map { candidate in
            first.value(candidate.collaborative) + second.value(candidate.content) + third.value(candidate.popularity)
        }
        var ranked = RankedCandidates(candidates, scores: scores)
        ranked.sort()
        return ranked.candidates
    }

    private static func scale(of component: Int, _ lists: [[Entry]]) -> CandidatePool.Scale {
        var least = Float.infinity
        var largest = -Float.infinity
        for entries in lists {
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
        // Half up by truncation: without SSE4.1 `rounded()` is a call.
        return UInt8(min(max((value - self.offset) / self.step + 0.5, 0), 255))
    }
}
