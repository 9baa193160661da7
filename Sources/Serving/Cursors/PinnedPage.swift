import RecommendationCore
import RecommendationEngine

/// The next page of a pinned list, by the rules of now.
struct PinnedPage {
    let places: [SlatePlace]
    let filtered: FilteredCounts
    /// What comes after it; nil: nothing does.
    let rest: PinnedList?

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
        now: Timestamp
    ) {
        let admission = Admission(
            state,
            at: now,
            UserExclusions(seen: [], suppressed: state.catalog.suppressed(by: standing.suppressions)),
            filter,
            labels: state.rules.compiled.asked(of: standing.labels)
        )
        var filtered = FilteredCounts()
        var (allowed, dropped): ([CandidatePool.Candidate], [Item.Number]) = ([], [])
        state.suspects.withUnsafeBufferPointer { suspects in
            for candidate in list.pool.unseen {
                if admission.admits(candidate.item, suspects: suspects, &filtered) {
                    allowed.append(candidate)
                } else {
                    dropped.append(candidate.item)
                }
            }
        }
        let choice = state.rules.capsAlone
        var chosen: [Int] = []
        filtered.diversity = choice.choose(
            limit,
            of: allowed.map { admission.candidate($0.item, score: 0, of: choice) },
            after: list.lately.map { admission.candidate($0, score: 0, of: choice) },
            into: &chosen
        )
        let marks = Dictionary(list.marks.map { ($0.item, $0) }, uniquingKeysWith: { first, _ in first })
        self.places = chosen.map { index in
            Self.place(allowed[index], of: list.pool, marks[allowed[index].item], admission)
        }
        filtered.poolExhausted = chosen.count < limit
        self.filtered = filtered
        var rest = list
        rest.take(chosen.map { allowed[$0].item }, dropping: dropped, window: choice.window - 1)
        self.rest = rest.isOver || filtered.poolExhausted ? nil : rest
    }

    private static func place(
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

extension DiverseChoice {
    /// The longest that a cap looks back, itself among it.
    fileprivate var window: Int { max(self.category?.window ?? 1, self.creator?.window ?? 1) }
}
