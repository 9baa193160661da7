extension Policy {
    /// Items of which the score counts for more, or less.
    public struct Boost: Sendable, Equatable {
        /// What the score is multiplied by, 0 to 10.
        public var factor: Float
        /// Of which items.
        public var when: ItemExpression

        /// A boost of these parts.
        public init(factor: Float, when: ItemExpression) {
            self.factor = factor
            self.when = when
        }
    }

    /// An item that has a place of its own.
    public struct Pin: Sendable, Equatable {
        /// The item.
        public var item: Item.ID
        /// Its rank, from 1.
        public var position: Int
        /// Only then; nil: always.
        public var when: ItemExpression?

        /// A pin of these parts.
        public init(item: Item.ID, position: Int, when: ItemExpression? = nil) {
            self.item = item
            self.position = position
            self.when = when
        }
    }

    /// At most so many of one kind in every window of consecutive ranks.
    public struct DiversityCap: Sendable, Equatable {
        /// Of one kind; as large as the window: no cap.
        public var maximum: Int
        /// The length of the window in ranks.
        public var window: Int

        /// A cap of these parts.
        public init(maximum: Int, window: Int) {
            self.maximum = maximum
            self.window = window
        }
    }

    /// What holds on one surface in place of what holds on the others.
    public struct SurfaceOverride: Sendable, Equatable {
        /// One of the policy's surfaces.
        public var surface: String
        /// The whole policy of that surface, without overrides of its own.
        public var policy: Policy

        /// An override of these parts.
        public init(surface: String, policy: Policy) {
            self.surface = surface
            self.policy = policy
        }
    }

    /// The most boosts of a policy or a surface.
    public static let maximumBoosts = 16
    /// The most pins of a policy or a surface.
    public static let maximumPins = 20
    /// What a boost may multiply by.
    public static let boostFactors = 0.0...10.0

    /// What holds on a surface.
    public func effective(on surface: String) -> Policy {
        self.surfaceOverrides.first { $0.surface.utf8.elementsEqual(surface.utf8) }?.policy ?? self
    }
}
