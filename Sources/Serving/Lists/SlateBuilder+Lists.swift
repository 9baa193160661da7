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
    ///   - isOnSurface: Whether it stands on one of the policy's surfaces, on which boosts and pins hold; what somebody put
    ///     together by hand is not boosted.
    ///   - labels: Of the user.
    ///   - id: Of the recommendation, for tokens; nil: the places carry none.
    ///   - tracing: Takes what the slate was chosen from; nil: nobody asks.
    func slate(
        of ranked: some Sequence<RankedItem>,
        limit: Int,
        reason: Reason,
        seed: Item.Number? = nil,
        filter: SlateFilter = .none,
        exclusions: UserExclusions = .none,
        isOnSurface: Bool = false,
        labels: [UserLabel] = [],
        id: RecommendationID?,
        origin: SlateOrigin,
        tracing: SlateWorkspace? = nil
    ) -> Slate {
        var filtered = FilteredCounts()
        let admission = Admission(self.state, at: self.now, exclusions, filter, labels: labels)
        let isCurated = reason == .curated
        let pins = isOnSurface ? admission.pins(within: limit) : []
        let room = isCurated ? limit : Self.listRoom
        let hasBoosts = isOnSurface && !isCurated && self.state.rules.hasBoosts
        var allowed: [RankedItem] = []
        var traced: [SlateTrace.Candidate] = []
        self.state.suspects.withUnsafeBufferPointer { suspects in
            for candidate in ranked where !pins.contains(where: { $0.item == candidate.item }) {
                let isAdmitted = admission.admits(candidate.item, suspects: suspects, &filtered)
                if let tracing, tracing.isTracing {
                    traced.append(
                        SlateTrace.Candidate(
                            candidate,
                            factor: hasBoosts ? admission.factor(candidate.item) : 1,
                            category: isCurated ? Diversity.noCategory : admission.category(of: candidate.item),
                            removedBy: isAdmitted ? nil : admission.removal(of: candidate.item)
                        )
                    )
                }
                guard isAdmitted else { continue }
                allowed.append(candidate)
                if allowed.count == room { break }
            }
        }
        if hasBoosts { Self.boost(&allowed, admission) }
        var chosen: [Int] = []
        var diversity = Diversity(maximumPerWindow: 0, window: 0)
        if let choice = self.state.rules.compiled.choice, !isCurated {
            let candidates = allowed.map { admission.candidate($0.item, score: $0.score, of: choice) }
            filtered.diversity = choice.choose(limit - pins.count, of: candidates, into: &chosen)
            filtered.poolExhausted = chosen.count < limit - pins.count
        } else {
            self.diversify(&diversity, limit - pins.count, of: allowed.count, into: &chosen, &filtered) { place in
                isCurated ? Diversity.noCategory : admission.category(of: allowed[place].item)
            }
        }
        var places = chosen.map { index in
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
        for pin in pins { places.insert(SlatePlace(pinned: pin.item), at: min(pin.place, places.count)) }
        tracing?.trace {
            var rules = Decision.Rules(
                self.state.rules,
                limit: limit,
                isBoosted: hasBoosts,
                tried: 0,
                excludesSeen: true
            )
            if isCurated { (rules.categoryCap, rules.creatorCap, rules.marginalRelevance) = (nil, nil, nil) }
            let pinned = pins.map { SlateTrace.Candidate(pinned: $0.item, at: $0.place) }
            return SlateTrace(rules: rules, candidates: traced + pinned, places: places)
        }
        return Slate(items: self.items(places, id: id, origin: origin), filtered: filtered)
    }

    /// What could stand in the slate of a list, as far as it is looked at where nobody is kept out.
    static func candidates(of ranked: some Sequence<RankedItem>) -> [Item.Number] {
        ranked.prefix(Self.listRoom).map(\.item)
    }

    /// Puts candidates in the order of their scores times the policy's boosts, equal ones as they were.
    private static func boost(_ ranked: inout [RankedItem], _ admission: Admission) {
        let boosted = ranked.map { item in
            let components = ScoreComponents(
                collaborative: item.collaborative,
                content: item.content,
                popularity: item.popularity
            ).boosted(by: admission.factor(item.item))
            return RankedItem(item.item, components)
        }
        ranked = Arrangement.order(of: boosted.map(\.score)).map { boosted[$0] }
    }
}
