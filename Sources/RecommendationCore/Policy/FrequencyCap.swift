extension Policy {
    /// How often one item is shown to one user.
    public struct FrequencyCap: Sendable, Equatable {
        /// Where it is counted and holds, a surface or the name of a list; nil: everywhere together.
        public var surface: String?
        /// At most so many times.
        public var maximum: Int
        /// Within so long, at every moment.
        public var window: Duration
        /// Of which items; nil: of all.
        public var when: ItemExpression?

        /// A cap of these parts.
        public init(surface: String? = nil, maximum: Int, window: Duration, when: ItemExpression? = nil) {
            self.surface = surface
            self.maximum = maximum
            self.window = window
            self.when = when
        }

        /// The most caps of a policy.
        public static let maximumCount = 8
        /// What ``maximum`` may be.
        public static let maxima = 1...100
        /// What ``window`` may be.
        public static let windows = Duration.seconds(60)...Duration.seconds(30 * 86_400)
    }
}
