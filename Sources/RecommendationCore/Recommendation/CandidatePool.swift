/// The part of a score that one source contributes, already weighted by the policy.
public enum Component: Int, CaseIterable, Sendable {
    case collaborative, content, popularity

    /// The name in answers.
    public var name: String {
        switch self {
        case .collaborative: "collaborative"
        case .content: "content"
        case .popularity: "popularity"
        }
    }
}

/// The scored candidates of one user: what is cached.
///
/// Components are 8-bit, `offset + step × value`, with offset and step for the whole pool; a score is *defined* as the sum
/// of the dequantised components, so that a replay of a cached pool agrees with the answer that was given.
public struct CandidatePool: Sendable, Equatable {
    /// How a component's byte becomes a number.
    public struct Scale: Sendable, Equatable {
        /// The value of byte 0.
        public var offset: Float
        /// What one step adds.
        public var step: Float

        /// A scale.
        public init(offset: Float, step: Float) {
            self.offset = offset
            self.step = step
        }

        /// The value of a byte.
        public func value(_ byte: UInt8) -> Float { self.offset + self.step * Float(byte) }
    }

    /// One scored item.
    public struct Candidate: Sendable, Equatable {
        /// The item.
        public var item: Item.Number
        /// Quantised collaborative component.
        public var collaborative: UInt8
        /// Quantised content component.
        public var content: UInt8
        /// Quantised popularity component.
        public var popularity: UInt8
        /// Index into ``CandidatePool/seeds``; 255: none.
        public var seed: UInt8

        /// A candidate of these parts.
        public init(item: Item.Number, collaborative: UInt8, content: UInt8, popularity: UInt8, seed: UInt8) {
            self.item = item
            self.collaborative = collaborative
            self.content = content
            self.popularity = popularity
            self.seed = seed
        }
    }

    /// ``Candidate/seed`` of a candidate without a seed.
    public static let noSeed: UInt8 = 255
    /// The most seeds a pool names.
    public static let maximumSeeds = 16

    /// What the rules of a policy ask of a user, as it was when the pool was computed.
    public struct RuleFacts: Sendable, Equatable {
        /// The user's labels that some rule names.
        public var labels: [UserLabel] = []
        /// Pinned items that the user has had.
        public var hadPins: [Item.Number] = []
        /// Pinned items that the user hides, dislikes or suppresses.
        public var unwantedPins: [Item.Number] = []

        /// Facts that say nothing.
        public init() {}
    }

    /// Scales of collaborative, content, popularity.
    public var scales: [Scale]
    /// History items that explain candidates.
    public var seeds: [Item.Number]
    /// Items the user has not had, best first.
    public var unseen: [Candidate]
    /// Items the user has had, best first.
    public var seen: [Candidate]
    /// How many items the user has had that are not in ``seen``, because whoever asks for this pool is not shown any.
    public var seenLeftOut: Int
    /// Whether the user has history that says something about taste.
    public var isPersonal: Bool
    /// How many of the best candidates the user's suppressions took out when the pool was computed; others took their
    /// places.
    public var suppressedCount: Int
    /// Items to be tried out on the user, in this order; they may be among ``unseen``, too.
    public var tried: [Candidate]
    /// Says whether a part of a place is given to ``tried``: evenly spread over users. 0 where there are none.
    public var triedLot: UInt16
    /// The user's suppressions of categories and creators: an item may come under one after the pool was computed. Those of
    /// items are not here, because a number is of one item for good.
    public var suppressions: [Suppression]
    /// What the policy's rules ask of the user; nil: they ask nothing, or there is nothing to say.
    public var facts: RuleFacts?

    /// A pool of these parts.
    public init(
        scales: [Scale],
        seeds: [Item.Number],
        unseen: [Candidate],
        seen: [Candidate],
        seenLeftOut: Int = 0,
        isPersonal: Bool,
        suppressedCount: Int = 0,
        suppressions: [Suppression] = [],
        tried: [Candidate] = [],
        triedLot: UInt16 = 0,
        facts: RuleFacts? = nil
    ) {
        self.scales = scales
        self.seeds = seeds
        self.unseen = unseen
        self.seen = seen
        self.seenLeftOut = seenLeftOut
        self.isPersonal = isPersonal
        self.suppressedCount = suppressedCount
        self.suppressions = suppressions
        self.tried = tried
        self.triedLot = triedLot
        self.facts = facts
    }

    /// The weighted components of a candidate.
    public func components(_ candidate: Candidate) -> (collaborative: Float, content: Float, popularity: Float) {
        (
            self.scales[0].value(candidate.collaborative), self.scales[1].value(candidate.content),
            self.scales[2].value(candidate.popularity)
        )
    }

    /// The score of a candidate: the sum of its components.
    public func score(_ candidate: Candidate) -> Float {
        let (collaborative, content, popularity) = self.components(candidate)
        return collaborative + content + popularity
    }

    /// All candidates, best first, whether the user has had them or not; ties by number.
    public var all: [Candidate] {
        guard !self.seen.isEmpty else { return self.unseen }
        var merged: [Candidate] = []
        merged.reserveCapacity(self.unseen.count + self.seen.count)
        var (fresh, had) = (self.unseen[...], self.seen[...])
        while let first = fresh.first, let second = had.first {
            let (left, right) = (self.score(first), self.score(second))
            if left > right || (left == right && first.item < second.item) {
                merged.append(fresh.removeFirst())
            } else {
                merged.append(had.removeFirst())
            }
        }
        return merged + fresh + had
    }
}
