import RecommendationCore
import RecommendationEngine

extension SlateBuilder {
    /// Candidates of a list that are put before the diversity rule: as many as a large pool has.
    private static let listRoom = 500

    /// The slate of a list: items in order, less those that a rule removes, with no category too often.
    ///
    /// - Parameters:
    ///   - ranked: Best first; read no further than a full slate needs.
    ///   - reason: Why they are in it. What somebody put together by hand is in that order, however often a category comes.
    ///   - seed: The item they are like.
    ///   - id: Of the recommendation, for tokens; nil: the places carry none.
    ///   - user: Whom the tokens are for; nil: whoever brings them.
    func slate(
        of ranked: some Sequence<RankedItem>,
        limit: Int,
        reason: Reason,
        seed: Item.Number? = nil,
        filter: SlateFilter = .none,
        exclusions: UserExclusions = .none,
        id: RecommendationID?,
        user: User.ID?,
        model: ModelVersion.Number
    ) -> Slate {
        var filtered = FilteredCounts()
        let admission = Admission(self.state, at: self.now, exclusions, filter)
        let isCurated = reason == .curated
        let room = isCurated ? limit : Self.listRoom
        var allowed: [RankedItem] = []
        self.state.suspects.withUnsafeBufferPointer { suspects in
            for candidate in ranked where admission.admits(candidate.item, suspects: suspects, &filtered) {
                allowed.append(candidate)
                if allowed.count == room { break }
            }
        }
        var chosen: [Int] = []
        var diversity = Diversity(maximumPerWindow: 0, window: 0)
        self.diversify(&diversity, limit, of: allowed.count, into: &chosen, &filtered) { place in
            isCurated ? Diversity.noCategory : admission.category(of: allowed[place].item)
        }
        let places = chosen.map { index in
            let candidate = allowed[index]
            return SlatePlace(
                item: candidate.item,
                seed: seed,
                reason: reason,
                isTried: false,
                score: candidate.score,
                collaborative: candidate.collaborative,
                content: candidate.content,
                popularity: candidate.popularity
            )
        }
        return Slate(items: self.items(places, id: id, user: user, model: model), filtered: filtered)
    }
}
