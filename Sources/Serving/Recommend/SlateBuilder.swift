import RecommendationCore
import RecommendationEngine

/// The final stage: from a pool to a slate. It runs on every response, whatever the pool came from, so that what was denied,
/// hidden or sold out since the pool was computed is not shown.
struct SlateBuilder {
    let state: TenantState
    let signer: TokenSigner
    let now: Timestamp

    struct Slate {
        var items: [RecommendedItem]
        var filtered: FilteredCounts
    }

    /// The slate of a pool: candidates in order, less those that a rule removes, with no category too often. Whether items
    /// the user has had are among them is the policy's to say.
    func slate(
        of pool: CandidatePool,
        limit: Int,
        id: RecommendationID,
        user: User.ID,
        model: ModelVersion.Number
    ) -> Slate {
        var filtered = FilteredCounts()
        let excludesSeen = self.state.policy.seenFilter
        let candidates = excludesSeen ? pool.unseen : pool.all
        if excludesSeen { filtered.seen = pool.seen.count }
        filtered.suppressed = pool.suppressedCount
        let catalog = self.state.catalog
        // By the catalogue as it is now: an item may have come into a suppressed category since.
        let suppressed = catalog.suppressed(by: pool.suppressions)
        var allowed: [CandidatePool.Candidate] = []
        allowed.reserveCapacity(candidates.count)
        var numbers: [Item.Number] = []
        numbers.reserveCapacity(candidates.count)
        for candidate in candidates {
            if self.state.blocked[Int(candidate.item)] {
                filtered.tombstone += 1
            } else if !catalog.isAvailable(candidate.item, at: self.now) {
                filtered.unavailable += 1
            } else if suppressed[Int(candidate.item)] {
                filtered.suppressed += 1
            } else {
                allowed.append(candidate)
                numbers.append(candidate.item)
            }
        }
        var diversity = Diversity(
            maximumPerWindow: self.state.policy.maximumPerWindow,
            window: self.state.policy.window
        )
        var chosen: [Int] = []
        chosen.reserveCapacity(limit)
        filtered.diversity = diversity.choose(
            limit,
            of: numbers,
            firstCategory: { catalog.firstCategory($0) },
            into: &chosen
        )
        filtered.poolExhausted = chosen.count < limit
        let signing = self.signer.response(id, model: model, tenant: self.state.tenant, user: user)
        var items: [RecommendedItem] = []
        items.reserveCapacity(chosen.count)
        for (place, index) in chosen.enumerated() {
            guard let record = catalog[allowed[index].item] else { continue }
            items.append(
                self.item(
                    allowed[index],
                    record,
                    pool: pool,
                    suppressed: suppressed,
                    rank: place + 1,
                    signing: signing
                )
            )
        }
        return Slate(items: items, filtered: filtered)
    }

    /// The slate of the policy's items of last resort.
    func staticSlate(limit: Int, id: RecommendationID, user: User.ID) -> Slate {
        let signing = self.signer.response(id, model: 0, tenant: self.state.tenant, user: user)
        var filtered = FilteredCounts()
        var items: [RecommendedItem] = []
        for itemID in self.state.policy.staticItems where items.count < limit {
            guard let number = self.state.catalog.number(of: itemID) else { continue }
            if self.state.blocked[Int(number)] {
                filtered.tombstone += 1
            } else if !self.state.catalog.isAvailable(number, at: self.now) {
                filtered.unavailable += 1
            } else {
                let rank = items.count + 1
                items.append(
                    RecommendedItem(
                        item: itemID,
                        rank: rank,
                        score: 0,
                        trackingToken: signing.token(rank: rank, item: number),
                        collaborative: 0,
                        content: 0,
                        popularity: 0,
                        reason: .curated,
                        seed: nil
                    )
                )
            }
        }
        filtered.poolExhausted = items.count < limit
        return Slate(items: items, filtered: filtered)
    }

    private func item(
        _ candidate: CandidatePool.Candidate,
        _ record: Catalog.Record,
        pool: CandidatePool,
        suppressed: Bitmap,
        rank: Int,
        signing: TokenSigner.Response
    ) -> RecommendedItem {
        let (collaborative, content, popularity) = pool.components(candidate)
        let reason: Reason =
            if pool.isPersonal, collaborative >= content, collaborative >= popularity {
                .becauseYouLiked
            } else if pool.isPersonal, content >= popularity {
                .similarToHistory
            } else {
                .popular
            }
        let seed =
            candidate.seed == CandidatePool.noSeed || reason == .popular
            ? nil : self.seed(pool.seeds[Int(candidate.seed)], suppressed: suppressed)
        return RecommendedItem(
            item: record.id,
            rank: rank,
            score: collaborative + content + popularity,
            trackingToken: signing.token(rank: rank, item: candidate.item),
            collaborative: collaborative,
            content: content,
            popularity: popularity,
            // "Because you liked" names what; without a seed it is likeness.
            reason: reason == .becauseYouLiked && seed == nil ? .similarToHistory : reason,
            seed: seed
        )
    }

    /// The history item that explains a place; one that is denied now, or suppressed, is not named.
    private func seed(_ number: Item.Number, suppressed: Bitmap) -> RecommendedItem.Seed? {
        guard !self.state.blocked[Int(number)], !suppressed[Int(number)], let record = self.state.catalog[number] else {
            return nil
        }
        return RecommendedItem.Seed(item: record.id, title: record.title)
    }
}
