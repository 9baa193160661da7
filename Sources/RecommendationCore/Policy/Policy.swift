/// How pools are scored and slates are chosen.
public struct Policy: Sendable, Equatable {
    /// How much each source of candidates counts.
    public struct Weights: Sendable, Equatable {
        /// Of items that go together in histories.
        public var collaborative: Float
        /// Of items with like categories.
        public var content: Float
        /// Of items that many use.
        public var popularity: Float

        /// Weights of the three components.
        public init(collaborative: Float, content: Float, popularity: Float) {
            self.collaborative = collaborative
            self.content = content
            self.popularity = popularity
        }
    }

    /// How much of a list is given to items that nothing is known of yet.
    public struct Exploration: Sendable, Equatable {
        /// Which part of a list, 0 to 1, on average; at most the next whole number of places.
        public var share: Double
        /// Of items that came into the catalogue within so many days, and that the model has seen no use of.
        public var maximumAgeDays: Int

        /// An exploration of a share and an age.
        public init(share: Double, maximumAgeDays: Int) {
            self.share = share
            self.maximumAgeDays = maximumAgeDays
        }
    }

    /// What is done where the control state cannot be verified.
    public enum Unverified: String, CaseIterable, Sendable {
        case serve, refuse
    }

    /// What may be served where the user's own fresh list cannot be had.
    public enum FallbackStep: String, CaseIterable, Sendable {
        case stale, precomputed, popular
        case staticList = "static"
    }

    /// The name of the policy's version.
    public var version: String
    /// Component weights.
    public var weights: Weights
    /// At most this many items of one first category per window; 0 switches it off.
    public var maximumPerWindow: Int
    /// The length of the window in ranks.
    public var window: Int
    /// Whether items the user has had are left out, unless a request says otherwise.
    public var seenFilter: Bool
    /// Weight of each type of event.
    public var eventWeights: [EventType: Float]
    /// Types that make what was computed before them unservable.
    public var invalidatingEvents: Set<EventType>
    /// Days after which an event counts half.
    public var halfLifeDays: Double
    /// How long a pool is fresh.
    public var softTTL: Duration
    /// The same for a user who did something within ``activeWindow``, where that is less; nil: they are as others.
    public var activeTTL: Duration?
    /// How long a pool may be served at all.
    public var hardTTL: Duration
    /// Both are shortened by a random share of up to this many per cent, so that what was filled together does not expire
    /// together.
    public var jitterPercent: Double
    /// Candidates in a pool.
    public var poolSize: Int
    /// What is tried, in this order; what is not in it is never served. Where ``FallbackStep/stale`` comes first, a stale
    /// copy is also served while another computes; elsewhere only once the computation has failed.
    public var fallback: [FallbackStep]
    /// What is done without a lease and without a control check.
    public var onUnverified: Unverified
    /// Items of last resort.
    public var staticItems: [Item.ID]
    /// The surfaces that may be asked for.
    public var surfaces: [String]
    /// What is tried out.
    public var exploration: Exploration
    /// At most so many items of one creator per window; nil: no cap.
    public var creatorCap: DiversityCap?
    /// How much relevance counts against likeness to what is chosen already, 0 to 1 (maximal marginal relevance); nil: the
    /// order is that of the scores.
    public var marginalRelevance: Double?
    /// Which items may be shown at all; nil: every item. It holds in every answer, also in those that are nobody's.
    public var eligibility: ItemExpression?
    /// Items whose score is multiplied; where several boosts hold for an item, by all of them.
    public var boosts: [Boost] = []
    /// Items with a place of their own, in order of position.
    public var pins: [Pin] = []
    /// How often one item is shown to one user.
    public var frequencyCaps: [FrequencyCap] = []
    /// Which part of recommendations is recorded, in per cent: what they were made of.
    public var recordedPercent: Double = 0
    /// What holds on single surfaces, in order of the surface's name.
    public var surfaceOverrides: [SurfaceOverride] = []

    /// For how long a user is active after an event.
    public static let activeWindow = Duration.seconds(1_800)

    /// Whether a surface may be asked for; names are compared by their bytes.
    public func offers(surface: String) -> Bool {
        self.surfaces.contains { $0.utf8.elementsEqual(surface.utf8) }
    }

    /// The built-in policy, in force until another is activated.
    public static let builtIn = Policy(
        version: "p0",
        weights: Weights(collaborative: 0.4, content: 0.3, popularity: 0.3),
        maximumPerWindow: 3,
        window: 10,
        seenFilter: true,
        eventWeights: [
            .purchase: 5, .addToCart: 3, .like: 3, .rating: 1, .click: 1, .view: 0.2, .dislike: -2, .hide: -3,
        ],
        invalidatingEvents: [.purchase, .addToCart, .rating, .like, .dislike, .hide],
        halfLifeDays: 30,
        softTTL: .seconds(300),
        activeTTL: nil,
        hardTTL: .seconds(1_800),
        jitterPercent: 10,
        poolSize: 200,
        fallback: [.stale, .precomputed, .popular, .staticList],
        onUnverified: .serve,
        staticItems: [],
        surfaces: ["home", "detail", "email"],
        exploration: Exploration(share: 0, maximumAgeDays: 14)
    )
}
