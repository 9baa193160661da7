import RecommendationCore

/// A list as its first page found it, less what was on a page already: what a cursor is made of.
///
/// Later pages are its next candidates, in its order, under the rules of their own time: what was denied, hidden or sold out since
/// is left out, and no cap is broken from one page to the next. Nothing is scored again and nothing comes twice, whatever model
/// serves meanwhile. Nothing in it tells of the user but the items themselves.
struct PinnedList: Equatable {
    /// The most items of a list that is paged through.
    static let maximumCount = 250
    /// For how long after its first page it may be gone on with, in milliseconds.
    static let lifetime: Int64 = 600_000

    /// What is said of a candidate besides its scores.
    struct Mark: Equatable {
        enum Kind: UInt8 {
            /// It is there by its score.
            case scored
            /// It is tried out.
            case tried
            /// The policy gave it its place.
            case pinned
            /// The same, and nothing is known of it.
            case unscored
        }

        let item: Item.Number
        let kind: Kind
        /// What its score was multiplied by.
        let factor: Float
    }

    /// What it was computed of, and under which standing it may be gone on with.
    struct Origin: Equatable {
        let surface: String
        /// 0: there was no model.
        let model: ModelVersion.Number
        let policy: String
        /// As tokens say it.
        let variant: String
        /// As in its cache field.
        let generation: Int64
        /// The control log as far as the first page knew it.
        let epoch: Int64
        /// As ``UserStanding/number`` and ``UserStanding/changed``.
        let user: Int64
        let changed: User.Version
        /// Of the pool.
        let version: User.Version
        /// Milliseconds of Redis time.
        let computedAt: Int64
        let tier: Tier
        /// Of the first page, in milliseconds.
        let issuedAt: Int64
    }

    /// What the request asked for that the final stage looks at item by item, and that items may cease to be.
    struct Filters: Equatable {
        var categories: [ItemCategory.ID] = []
        var excludedCategories: [ItemCategory.ID] = []
        var region: ItemRegion.ID?
        var locale: LanguageTag?

        init() {}

        init(_ filters: RequestFilters) {
            self.categories = filters.categories
            self.excludedCategories = filters.excludedCategories
            self.region = filters.region
            self.locale = filters.locale
        }

        var request: RequestFilters {
            var filters = RequestFilters()
            filters.categories = self.categories
            filters.excludedCategories = self.excludedCategories
            filters.region = self.region
            filters.locale = self.locale
            return filters
        }
    }

    let origin: Origin
    let filters: Filters
    /// How many were on earlier pages.
    private(set) var shown: Int
    /// The last of those, in order, as many as a window of diversity may look back.
    private(set) var lately: [Item.Number]
    /// What is left, in order, with its scales and seeds; all of it is unseen to the pool.
    private(set) var pool: CandidatePool
    private(set) var marks: [Mark]

    init(
        origin: Origin,
        filters: Filters,
        shown: Int,
        lately: [Item.Number],
        pool: CandidatePool,
        marks: [Mark]
    ) {
        self.origin = origin
        self.filters = filters
        self.shown = shown
        self.lately = lately
        self.pool = pool
        self.marks = marks
    }

    /// The list of a pool, of which nothing was shown yet.
    ///
    /// - Parameter places: What the final stage made of it.
    init(_ origin: Origin, _ filters: RequestFilters, of view: PoolView, _ places: [SlatePlace]) {
        let pool = view.pool
        let known = Dictionary(
            (pool.tried + pool.unseen + pool.seen).map { ($0.item, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        var marks: [Mark] = []
        var left: [CandidatePool.Candidate] = []
        for place in places.prefix(Self.maximumCount) {
            let candidate = known[place.item]
            left.append(
                candidate
                    ?? CandidatePool.Candidate(
                        item: place.item,
                        collaborative: 0,
                        content: 0,
                        popularity: 0,
                        seed: CandidatePool.noSeed
                    )
            )
            let kind: Mark.Kind =
                if place.reason == .curated {
                    candidate == nil ? .unscored : .pinned
                } else {
                    place.isTried ? .tried : .scored
                }
            let score = candidate.map(pool.score) ?? 0
            let factor = score > 0 ? place.score / score : 1
            if kind != .scored || factor != 1 {
                marks.append(Mark(item: place.item, kind: kind, factor: factor))
            }
        }
        self.init(
            origin: origin,
            filters: Filters(filters),
            shown: 0,
            lately: [],
            pool: CandidatePool(
                scales: pool.scales,
                seeds: pool.seeds,
                unseen: left,
                seen: [],
                isPersonal: pool.isPersonal
            ),
            marks: marks
        )
    }

    /// What the final stage looks at on every page.
    func filter(_ catalog: Catalog) -> SlateFilter {
        self.filters == Filters() ? .none : SlateFilter(self.filters.request, catalog: catalog)
    }

    /// Whether there is anything left.
    var isOver: Bool { self.pool.unseen.isEmpty }

    /// Takes what was put on a page, and what may not be on any, off what is left.
    ///
    /// - Parameters:
    ///   - page: The items of the page, in order.
    ///   - dropped: Candidates that may not be shown.
    mutating func take(_ page: [Item.Number], dropping dropped: [Item.Number], window: Int) {
        let gone = Set(page).union(dropped)
        self.pool.unseen.removeAll { gone.contains($0.item) }
        self.marks.removeAll { gone.contains($0.item) }
        self.shown += page.count
        self.lately = Array((self.lately + page).suffix(window))
    }
}
