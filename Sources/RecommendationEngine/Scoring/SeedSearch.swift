import RecommendationCore

/// Finds the history item behind each candidate by walking the rows of the history once more, with an eye on the chosen
/// candidates only: cheaper than keeping the largest contribution of every item while sums are made.
struct SeedSearch {
    private struct Best {
        var contribution: Float = 0
        /// Index into the history plus one; 0: none.
        var seed: UInt16 = 0
    }

    /// By slot: a candidate's index plus one. Whoever is not watched has slot 0, which nothing exceeds: one comparison, which
    /// mostly fails, for both.
    private var best: [Best]
    private let candidates: [CandidatePool.Candidate]
    private let components: [Component?]

    init(_ candidates: [CandidatePool.Candidate], scales: [CandidatePool.Scale]) {
        self.best = [Best](repeating: Best(), count: candidates.count + 1)
        self.best[0].contribution = .infinity
        self.candidates = candidates
        self.components = candidates.map { Self.component(of: $0, scales) }
    }

    /// Index into the history plus one, by candidate; 0: none.
    var seeds: [UInt16] { self.best.dropFirst().map(\.seed) }

    /// - Parameter fresh: What the history leads to beside the rows of the model.
    mutating func run(
        _ history: WeighedHistory,
        _ fresh: [FreshEdges.Edge],
        snapshot: Snapshot,
        scratch: inout ItemScratch
    ) {
        let explaining = history.items.indices.filter {
            history.weights[$0] > 0 && !scratch.has(history.items[$0], .banned)
        }
        let known = explaining.filter { Int(history.items[$0]) < snapshot.itemCount }
        if self.watch(.collaborative, &scratch) {
            let graph = snapshot.collaborative
            for index in known {
                self.look(at: graph.row(Int(history.items[index])), of: graph, from: index, history, scratch.slots)
            }
        }
        if self.watch(.content, &scratch) {
            let lists = snapshot.content.lists
            for index in known {
                let (before, after) = snapshot.content.rows(of: history.items[index])
                self.look(at: before, of: lists, from: index, history, scratch.slots)
                self.look(at: after, of: lists, from: index, history, scratch.slots)
            }
            for edge in fresh where history.weights[edge.source] > 0 {
                guard !scratch.has(history.items[edge.source], .banned) else { continue }
                let slot = Int(scratch.slots[Int(edge.item)])
                let contribution = history.weights[edge.source] * edge.similarity
                guard contribution > self.best[slot].contribution else { continue }
                self.best[slot] = Best(contribution: contribution, seed: UInt16(edge.source + 1))
            }
        }
        for candidate in self.candidates { scratch.setSlot(0, of: candidate.item) }
    }

    /// Gives the candidates of a component their slots, all others none; false where there are none.
    private func watch(_ component: Component, _ scratch: inout ItemScratch) -> Bool {
        var isAny = false
        for (index, candidate) in self.candidates.enumerated() {
            let isWatched = self.components[index] == component
            scratch.setSlot(isWatched ? UInt16(index + 1) : 0, of: candidate.item)
            isAny = isAny || isWatched
        }
        return isAny
    }

    private mutating func look(
        at positions: Range<Int>,
        of graph: NeighbourGraph,
        from index: Int,
        _ history: WeighedHistory,
        _ slots: [UInt16]
    ) {
        let weight = history.weights[index]
        let ids = graph.ids.span
        let weights = graph.weights.span
        let slots = slots.span
        var best = self.best.mutableSpan
        for position in positions {
            let slot = Int(slots[unchecked: Int(ids[unchecked: position])])
            let contribution = weight * HalfFloat.decode(weights[unchecked: position])
            guard contribution > best[slot].contribution else { continue }
            best[slot] = Best(contribution: contribution, seed: UInt16(index + 1))
        }
    }

    /// The largest component where it comes from the history and is above 0; of equal ones the first named.
    private static func component(
        of candidate: CandidatePool.Candidate,
        _ scales: [CandidatePool.Scale]
    ) -> Component? {
        let collaborative = scales[0].value(candidate.collaborative)
        let content = scales[1].value(candidate.content)
        let popularity = scales[2].value(candidate.popularity)
        if collaborative >= content, collaborative >= popularity { return collaborative > 0 ? .collaborative : nil }
        return content >= popularity && content > 0 ? .content : nil
    }
}
