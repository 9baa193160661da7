import RecommendationCore
import RecommendationEngine

/// An item at its place in a list, before the final stage.
struct RankedItem {
    let item: Item.Number
    let score: Float
    var collaborative: Float = 0
    var content: Float = 0
    var popularity: Float = 0
}

/// What is kept out of a list for one user.
struct ListExclusions {
    static let none = ListExclusions(seen: [], suppressed: Bitmap())

    let seen: Set<Item.Number>
    let suppressed: Bitmap
}

extension SlateBuilder {
    /// Candidates of a list that are put before the diversity rule: as many as a large pool has.
    private static let listRoom = 500

    /// The slate of a list: items in order, less those that a rule removes, with no category too often.
    ///
    /// - Parameters:
    ///   - ranked: Best first; read no further than a full slate needs.
    ///   - reason: Why they are in it.
    ///   - seed: The item they are like.
    ///   - id: Of the recommendation, for tokens; nil: the places carry none.
    ///   - user: Whom the tokens are for; nil: whoever brings them.
    func slate(
        of ranked: some Sequence<RankedItem>,
        limit: Int,
        reason: Reason,
        seed: RecommendedItem.Seed? = nil,
        filter: SlateFilter = .none,
        exclusions: ListExclusions = .none,
        id: RecommendationID?,
        user: User.ID?,
        model: ModelVersion.Number
    ) -> Slate {
        var filtered = FilteredCounts()
        var allowed: [RankedItem] = []
        for candidate in ranked where self.admits(candidate.item, filter, exclusions, &filtered) {
            allowed.append(candidate)
            if allowed.count == Self.listRoom { break }
        }
        let catalog = self.state.catalog
        let chosen = self.diverse(limit, of: allowed.map(\.item), filter, &filtered)
        let signing = id.map {
            self.signer.response($0, model: model, tenant: self.state.tenant, user: user ?? TokenSigner.nobody)
        }
        var items: [RecommendedItem] = []
        items.reserveCapacity(chosen.count)
        for index in chosen {
            let candidate = allowed[index]
            guard let record = catalog[candidate.item] else { continue }
            let rank = items.count + 1
            items.append(
                RecommendedItem(
                    item: record.id,
                    rank: rank,
                    score: candidate.score,
                    trackingToken: signing?.token(rank: rank, item: candidate.item) ?? "",
                    collaborative: candidate.collaborative,
                    content: candidate.content,
                    popularity: candidate.popularity,
                    reason: reason,
                    seed: seed
                )
            )
        }
        return Slate(items: items, filtered: filtered)
    }

    /// Whether an item may be in the answer, counted under the rule that says no.
    func admits(
        _ number: Item.Number,
        _ filter: SlateFilter,
        _ exclusions: ListExclusions,
        _ filtered: inout FilteredCounts
    ) -> Bool {
        if self.state.blocked[Int(number)] {
            filtered.tombstone += 1
        } else if !self.state.catalog.isAvailable(number, at: self.now) {
            filtered.unavailable += 1
        } else if exclusions.suppressed[Int(number)] {
            filtered.suppressed += 1
        } else if exclusions.seen.contains(number) {
            filtered.seen += 1
        } else if !filter.isNone, let record = self.state.catalog[number], !filter.admits(number, record) {
            filtered.policy += 1
        } else {
            return true
        }
        return false
    }
}
