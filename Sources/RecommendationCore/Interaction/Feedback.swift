/// What a user did with an item.
public enum EventType: String, CaseIterable, Sendable {
    case purchase, rating, like, click, view, dislike, hide
    case addToCart = "add_to_cart"

    /// The code under which the type is stored: never changed, never reused.
    public var code: UInt8 {
        switch self {
        case .view: 1
        case .click: 2
        case .addToCart: 3
        case .purchase: 4
        case .rating: 5
        case .like: 6
        case .dislike: 7
        case .hide: 8
        }
    }

    /// The type of a stored code.
    public init?(code: UInt8) {
        guard let type = Self.byCode[Int(code)] else { return nil }
        self = type
    }

    private static let byCode: [EventType?] = {
        var table = [EventType?](repeating: nil, count: 256)
        for type in EventType.allCases { table[Int(type.code)] = type }
        return table
    }()
}

/// One event as a client sends it.
public struct Feedback: Sendable, Equatable {
    /// The client's id of the event, unique in its tenant: the claim by which an event is stored once.
    public var eventID: String?
    /// Who.
    public var user: User.ID
    /// What.
    public var item: Item.ID
    /// What happened.
    public var type: EventType
    /// The value of a rating; 1 otherwise.
    public var value: Float
    /// When it happened.
    public var occurredAt: Timestamp
    /// The recommendation it answers, from a verified tracking token.
    public var attribution: Attribution?
    /// When it was added to a stream, in milliseconds of Redis time; nil: it did not come over one.
    public var queuedAt: Int64?

    /// What it answers, if it may be an answer: by a clock that is a day behind at most, as events are taken from one that is
    /// a day ahead.
    public var answered: Attribution? {
        self.attribution.flatMap { $0.milliseconds - 86_400_000 <= self.occurredAt.milliseconds ? $0 : nil }
    }

    /// An event of these parts.
    public init(
        eventID: String?,
        user: User.ID,
        item: Item.ID,
        type: EventType,
        value: Float,
        occurredAt: Timestamp,
        attribution: Attribution? = nil,
        queuedAt: Int64? = nil
    ) {
        self.eventID = eventID
        self.user = user
        self.item = item
        self.type = type
        self.value = value
        self.occurredAt = occurredAt
        self.attribution = attribution
        self.queuedAt = queuedAt
    }
}

/// The answer an event came from.
public struct Attribution: Sendable, Equatable {
    /// The recommendation's id, 16 bytes.
    public let recommendationID: [UInt8]
    /// The rank of the item in it, from 1.
    public let position: Int
    /// What the answer was made of; nil: the token does not say.
    public let source: Source?

    /// When the recommendation was made, in milliseconds since 1970: what its id begins with.
    public var milliseconds: Int64 {
        self.recommendationID.prefix(6).reduce(0) { $0 << 8 | Int64($1) }
    }

    /// An attribution of these parts.
    public init(recommendationID: [UInt8], position: Int, source: Source? = nil) {
        self.recommendationID = recommendationID
        self.position = position
        self.source = source
    }

    /// What an answer was made of, and where it was shown.
    public struct Source: Sendable, Hashable {
        /// 0: none.
        public let model: ModelVersion.Number
        /// The policy's version.
        public let policy: String
        /// The variant of an experiment; empty: of none.
        public let variant: String
        /// The surface, or the name of the list.
        public let surface: String

        /// A source of these parts.
        public init(model: ModelVersion.Number, policy: String, variant: String, surface: String) {
            self.model = model
            self.policy = policy
            self.variant = variant
            self.surface = surface
        }
    }
}

/// What became of one event.
public enum FeedbackOutcome: Sendable, Equatable {
    /// Stored now; the version of the user after it.
    case stored(User.Version)
    /// Stored before under the same event id; the version of the user now.
    case duplicate(User.Version)
    /// Not stored: no such item.
    case unknownItem
    /// Not stored: its user was erased after it had been added to a stream.
    case erased
    /// Not stored: the recommendation that it answers is of a life of the user that was erased.
    case outlived

    /// The version of the user, where there is one.
    public var version: User.Version? {
        switch self {
        case .stored(let version), .duplicate(let version): version
        case .unknownItem, .erased, .outlived: nil
        }
    }
}

/// Stores events.
public protocol FeedbackRepository: Sendable {
    /// Stores events in one transaction; for those of an invalidating type the user's version is raised and the journal
    /// appended in the same transaction.
    func record(
        _ events: [Feedback],
        tenant: Tenant.ID,
        invalidating: Set<EventType>
    ) async throws(RepositoryError) -> RecordedFeedback
}

/// What a write of events came to.
public struct RecordedFeedback: Sendable, Equatable {
    /// An outcome for each event, in order.
    public var outcomes: [FeedbackOutcome]
    /// The transaction that wrote the journal.
    public let transaction: UInt64

    /// A write of these parts.
    public init(outcomes: [FeedbackOutcome], transaction: UInt64) {
        self.outcomes = outcomes
        self.transaction = transaction
    }
}
