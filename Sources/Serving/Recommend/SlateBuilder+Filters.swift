import RecommendationCore
import RecommendationEngine

extension SlateBuilder {
    /// The slate of a pool for a request with filters: the rules of every slate, and those of the request.
    ///
    /// - Parameter includesSeen: Whether the pool's seen candidates take their places among the others, by score.
    func slate(
        of pool: CandidatePool,
        limit: Int,
        filter: SlateFilter,
        includesSeen: Bool,
        id: RecommendationID,
        user: User.ID,
        model: ModelVersion.Number
    ) -> Slate {
        var filtered = FilteredCounts()
        filtered.suppressed = pool.suppressedCount
        if !includesSeen { filtered.seen = pool.seen.count }
        let catalog = self.state.catalog
        // By the catalogue as it is now: an item may have come into a suppressed category since.
        let exclusions = ListExclusions(seen: [], suppressed: catalog.suppressed(by: pool.suppressions))
        let candidates = (includesSeen ? pool.all : pool.unseen).filter { candidate in
            self.admits(candidate.item, filter, exclusions, &filtered)
        }
        let chosen = self.diverse(limit, of: candidates.map(\.item), filter, &filtered)
        let signing = self.signer.response(id, model: model, tenant: self.state.tenant, user: user)
        var items: [RecommendedItem] = []
        items.reserveCapacity(chosen.count)
        for index in chosen {
            guard let record = catalog[candidates[index].item] else { continue }
            var item = self.item(candidates[index], record, of: pool, exclusions.suppressed)
            item.rank = items.count + 1
            item.trackingToken = signing.token(rank: item.rank, item: candidates[index].item)
            items.append(item)
        }
        return Slate(items: items, filtered: filtered)
    }

    /// Chooses among admitted candidates by the policy's diversity: their indices in rank order.
    func diverse(
        _ limit: Int,
        of candidates: [Item.Number],
        _ filter: SlateFilter,
        _ filtered: inout FilteredCounts
    ) -> [Int] {
        let catalog = self.state.catalog
        var diversity = Diversity(
            maximumPerWindow: self.state.policy.maximumPerWindow,
            window: self.state.policy.window
        )
        var chosen: [Int] = []
        filtered.diversity = diversity.choose(
            limit,
            of: candidates.count,
            category: { index in
                // A category that was asked for is under no cap.
                guard let record = catalog[candidates[index]], filter.counts(record) else {
                    return Diversity.noCategory
                }
                return catalog.category(of: candidates[index])
            },
            into: &chosen
        )
        filtered.poolExhausted = chosen.count < limit
        return chosen
    }

    private func item(
        _ candidate: CandidatePool.Candidate,
        _ record: Catalog.Record,
        of pool: CandidatePool,
        _ suppressed: Bitmap
    ) -> RecommendedItem {
        let (collaborative, content, popularity) = pool.components(candidate)
        var reason: Reason =
            if pool.isPersonal, collaborative >= content, collaborative >= popularity {
                .becauseYouLiked
            } else if pool.isPersonal, content >= popularity {
                .similarToHistory
            } else {
                .popular
            }
        var seed: RecommendedItem.Seed?
        if reason != .popular, Int(candidate.seed) < pool.seeds.count {
            let number = pool.seeds[Int(candidate.seed)]
            // One that is denied now, or suppressed, is not named.
            if !self.state.blocked[Int(number)], !suppressed[Int(number)] {
                seed = self.state.catalog[number].map { RecommendedItem.Seed(item: $0.id, title: $0.title) }
            }
        }
        // "Because you liked" names what; without a seed it is likeness.
        if reason == .becauseYouLiked, seed == nil { reason = .similarToHistory }
        return RecommendedItem(
            item: record.id,
            rank: 0,
            score: collaborative + content + popularity,
            trackingToken: "",
            collaborative: collaborative,
            content: content,
            popularity: popularity,
            reason: reason,
            seed: seed
        )
    }
}
