/// Users of a surface in parts, each served in its own way, to see which way does best.
public struct Experiment: Sendable, Equatable {
    /// The most that run on one surface.
    public static let maximumOnSurface = 3
    /// The most variants.
    public static let maximumVariants = 10
    /// The longest id, and the longest name of a variant, in bytes: a token says both of each.
    public static let maximumName = 32

    /// One way to serve.
    public struct Variant: Sendable, Equatable {
        /// A plain name.
        public var name: String
        /// Of the experiment's users, in hundredths of a percent: 0 to 10,000.
        public var weight: Int
        /// The version of the policy; nil: the one that serves the user anyway.
        public var policy: String?
        /// The model; nil: the one that serves the user anyway.
        public var model: ModelVersion.Number?

        /// A variant of these parts.
        public init(name: String, weight: Int, policy: String? = nil, model: ModelVersion.Number? = nil) {
            self.name = name
            self.weight = weight
            self.policy = policy
            self.model = model
        }
    }

    /// What is counted of users who were shown a variant.
    public enum Metric: String, CaseIterable, Sendable {
        /// Who clicked something that was shown to them in it.
        case clickThrough = "ctr"
        /// Who bought something, whatever it was, after they were first shown it, and before it ended.
        case conversion

        /// The type of the event.
        public var event: EventType {
            switch self {
            case .clickThrough: .click
            case .conversion: .purchase
            }
        }
    }

    /// How users are given to variants.
    public enum Allocation: String, CaseIterable, Sendable {
        /// By weights that are changed by hand alone.
        case fixed
        /// By how probable it is that a variant is the best, again and again.
        case thompson
    }

    /// What is looked for, and how surely.
    public struct Design: Sendable, Equatable {
        /// What is counted.
        public var metric: Metric
        /// The share that is expected of the first variant.
        public var baseline: Double
        /// The relative difference that is to be seen.
        public var effect: Double
        /// How often a difference may be seen that is none.
        public var alpha: Double
        /// How often one that is there is to be seen.
        public var power: Double

        /// A design of these parts.
        public init(
            metric: Metric,
            baseline: Double = 0.05,
            effect: Double = 0.1,
            alpha: Double = 0.05,
            power: Double = 0.8
        ) {
            self.metric = metric
            self.baseline = baseline
            self.effect = effect
            self.alpha = alpha
            self.power = power
        }
    }

    /// A plain name, of one experiment of its tenant for good.
    public var id: String
    /// Where lists are in it.
    public var surface: String
    /// Experiments of one layer share no user.
    public var layer: String
    /// Random: who is in which variant says nothing of any other experiment.
    public var salt: UInt64
    /// The first is what the others are held against.
    public var variants: [Variant]
    /// What is looked for.
    public var design: Design
    /// How its users are given to variants.
    public var allocation: Allocation
    /// Which of the layer's users are in it.
    public var users: Buckets
    /// Which of its users are in which variant, by place.
    public var slots: Buckets
    /// Whether users came to all variants alike: each change of weights gave all of them users that were nobody's in the same
    /// proportion. Elsewhere counts say nothing of whether users are missing.
    public var isComparable: Bool
    /// Since when.
    public var startedAt: Timestamp
    /// Since when the variants and their weights are these.
    public var weighedAt: Timestamp
    /// nil: it runs.
    public var stoppedAt: Timestamp?

    /// An experiment of these parts.
    public init(
        id: String,
        surface: String,
        layer: String,
        salt: UInt64,
        variants: [Variant],
        design: Design,
        allocation: Allocation = .fixed,
        users: Buckets,
        slots: Buckets,
        isComparable: Bool = true,
        startedAt: Timestamp,
        weighedAt: Timestamp,
        stoppedAt: Timestamp? = nil
    ) {
        self.id = id
        self.surface = surface
        self.layer = layer
        self.salt = salt
        self.variants = variants
        self.design = design
        self.allocation = allocation
        self.users = users
        self.slots = slots
        self.isComparable = isComparable
        self.startedAt = startedAt
        self.weighedAt = weighedAt
        self.stoppedAt = stoppedAt
    }

    /// What tokens say of a variant.
    public func label(of variant: Variant) -> String { "\(self.id)=\(variant.name)" }

    /// What users are drawn by.
    public struct Draw: Sendable, Equatable {
        fileprivate let layer: UInt64
        fileprivate let own: UInt64
    }

    /// What the users of a tenant are drawn by.
    public func draw(tenant: Tenant.ID) -> Draw {
        Draw(
            layer: UserShare.salt("\(tenant.string)\0layer\0\(self.layer)"),
            own: UserShare.salt("\(tenant.string)\0experiment\0\(self.id)") ^ self.salt
        )
    }

    /// The variant of a user, by its place: always the same on every node, until variants or weights are changed; nil: the user is
    /// not in it.
    public func variant(of user: User.ID, _ draw: Draw) -> Int? {
        guard self.users.place(of: UserShare.bucket(user, salt: draw.layer)) != nil else { return nil }
        return self.slots.place(of: UserShare.bucket(user, salt: draw.own))
    }
}
