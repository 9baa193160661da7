import RecommendationCore
import RecommendationEngine

/// The next page of a pinned list, by the rules of now.
struct PinnedPage {
    let places: [SlatePlace]
    let filtered: FilteredCounts
    /// What comes after it; nil: nothing does.
    let rest: PinnedList?
    /// What it was chosen from; nil: nobody asked.
    let trace: SlateTrace?

    /// - Parameters:
    ///   - limit: The most places.
    ///   - state: What serves the user on the list's surface.
    ///   - filter: ``PinnedList/filter(_:)``, with what frequency caps let through.
    init(
        _ limit: Int,
        of list: PinnedList,
        _ state: TenantState,
        _ standing: UserStanding,
        _ filter: SlateFilter,
        now: Timestamp,
        isTraced: Bool = false
    ) {
        let admission = Self.admission(state, standing, filter, now: now)
        var filtered = FilteredCounts()
        var (allowed, dropped): ([CandidatePool.Candidate], [Item.Number]) = ([], [])
        // What no reservation is known of may be shown on a later page.
        let isHeldBack = if case .reserved = filter.gate { true } else { false }
        let ungated = isHeldBack ? Self.admission(state, standing, list.filter(state.catalog), now: now) : admission
        var passedOver = FilteredCounts()
        state.suspects.withUnsafeBufferPointer { suspects in
            for candidate in list.pool.unseen {
                if admission.admits(candidate.item, suspects: suspects, &filtered) {
                    allowed.append(candidate)
                } else if !isHeldBack || !ungated.admits(candidate.item, suspects: suspects, &passedOver) {
                    dropped.append(candidate.item)
                }
            }
        }
        let marks = Dictionary(list.marks.map { ($0.item, $0) }, uniquingKeysWith: { first, _ in first })
        let choice = state.rules.capsAlone
        var chosen: [Int] = []
        filtered.diversity = choice.choose(
            limit,
            of: allowed.map { candidate in
                // What the policy gives a place is under every rule but these.
                switch marks[candidate.item]?.kind {
                case .pinned, .unscored: .free
                default: admission.candidate(candidate.item, score: 0, of: choice)
                }
            },
            after: list.lately.map { admission.candidate($0, score: 0, of: choice) },
            into: &chosen
        )
        self.places = chosen.map { index in
            Self.place(allowed[index], of: list.pool, marks[allowed[index].item], admission)
        }
        self.trace =
            isTraced ? SlateTrace(limit, of: list, marks, state.rules, admission, self.places) : nil
        filtered.poolExhausted = chosen.count < limit
        self.filtered = filtered
        var rest = list
        rest.take(chosen.map { allowed[$0].item }, dropping: dropped, window: choice.window - 1)
        let isOver = filtered.poolExhausted && !isHeldBack
        self.rest = rest.isOver || isOver ? nil : rest
    }

    private static func admission(
        _ state: TenantState,
        _ standing: UserStanding,
        _ filter: SlateFilter,
        now: Timestamp
    ) -> Admission {
        Admission(
            state,
            at: now,
            UserExclusions(seen: [], suppressed: state.catalog.suppressed(by: standing.suppressions)),
            filter,
            labels: state.rules.compiled.asked(of: standing.labels)
        )
    }

    fileprivate static func place(
        _ candidate: CandidatePool.Candidate,
        of pool: CandidatePool,
        _ mark: PinnedList.Mark?,
        _ admission: Admission
    ) -> SlatePlace {
        if mark?.kind == .unscored { return SlatePlace(pinned: candidate.item) }
        let (collaborative, content, popularity) = pool.components(candidate)
        let components = ScoreComponents(collaborative: collaborative, content: content, popularity: popularity)
        let place = SlatePlace(
            candidate.item,
            components.boosted(by: mark?.factor ?? 1),
            seed: candidate.seed < pool.seeds.count ? pool.seeds[Int(candidate.seed)] : nil,
            isPersonal: pool.isPersonal,
            isTried: mark?.kind == .tried,
            admission
        )
        return mark?.kind == .pinned ? place.pinned : place
    }
}

extension PolicyRules {
    /// The caps of the policy: an order that stands is not made anew by likeness.
    fileprivate var capsAlone: DiverseChoice {
        let policy = self.compiled.policy
        return DiverseChoice(
            category: Policy.DiversityCap(maximum: policy.maximumPerWindow, window: policy.window),
            creator: policy.creatorCap,
            lambda: nil
        )
    }
}

extension SlateTrace {
    /// Of a list that is gone on with: its order stands, and what the policy gave a place is under no cap.
    fileprivate init(
        _ limit: Int,
        of list: PinnedList,
        _ marks: [Item.Number: PinnedList.Mark],
        _ policy: PolicyRules,
        _ admission: Admission,
        _ places: [SlatePlace]
    ) {
        var rules = Decision.Rules(policy, limit: limit, isBoosted: false, tried: 0, excludesSeen: true)
        rules.marginalRelevance = nil
        let candidates = list.pool.unseen.map { candidate in
            let mark = marks[candidate.item]
            let place = PinnedPage.place(candidate, of: list.pool, mark, admission)
            return Candidate(
                item: candidate.item,
                standing: .scored,
                score: place.score,
                components: ScoreComponents(
                    collaborative: place.collaborative,
                    content: place.content,
                    popularity: place.popularity
                ),
                category: admission.category(of: candidate.item),
                isFree: mark?.kind == .pinned || mark?.kind == .unscored,
                seed: place.seed,
                removedBy: admission.removal(of: candidate.item)
            )
        }
        self.init(
            rules: rules,
            earlier: list.lately.map { ($0, admission.category(of: $0)) },
            candidates: candidates,
            places: places
        )
    }
}

extension DiverseChoice.Candidate {
    /// Under no cap.
    fileprivate static let free = DiverseChoice.Candidate(
        category: Diversity.noCategory,
        creator: Diversity.noCategory,
        score: 0
    )
}

extension DiverseChoice {
    /// The longest that a cap looks back, itself among it.
    fileprivate var window: Int { max(self.category?.window ?? 1, self.creator?.window ?? 1) }
}
