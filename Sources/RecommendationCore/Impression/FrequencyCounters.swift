/// An item that a recommendation wants to show, and the caps that it is under.
public struct CappedItem: Sendable, Equatable {
    /// The item.
    public let number: Item.Number
    /// Which caps of the reservation hold for it, a bit each, the first the lowest; not 0.
    public let caps: UInt8

    /// An item under these caps.
    public init(number: Item.Number, caps: UInt8) {
        self.number = number
        self.caps = caps
    }
}

/// What one recommendation wants to show to its user of items under caps.
public struct CapReservation: Sendable, Equatable {
    /// A cap that holds where the recommendation is shown.
    public struct Cap: Sendable, Equatable {
        /// At most so many times,
        public var maximum: Int
        /// within so long,
        public var window: Duration
        /// counted on the recommendation's own surface alone.
        public var isOfSurface: Bool

        /// A cap of these parts.
        public init(maximum: Int, window: Duration, isOfSurface: Bool) {
            self.maximum = maximum
            self.window = window
            self.isOfSurface = isOfSurface
        }
    }

    /// Of the recommendation, 16 bytes: what it has reserved is not counted against it.
    public var id: [UInt8]
    /// Whom it is for.
    public var user: User.ID
    /// Where it is shown.
    public var surface: String
    /// At most eight.
    public var caps: [Cap]
    /// What it wants to show, at most 100.
    public var chosen: [CappedItem]
    /// What it could show instead.
    public var others: [CappedItem]
    /// What it reserved before, and does not want to show any more.
    public var released: [Item.Number]
    /// Whether counters that may not be all there are will not do.
    public var isWhole: Bool

    /// A reservation of these parts.
    public init(
        id: [UInt8],
        user: User.ID,
        surface: String,
        caps: [Cap],
        chosen: [CappedItem],
        others: [CappedItem] = [],
        released: [Item.Number] = [],
        isWhole: Bool = true
    ) {
        self.id = id
        self.user = user
        self.surface = surface
        self.caps = caps
        self.chosen = chosen
        self.others = others
        self.released = released
        self.isWhole = isWhole
    }

    /// The longest window of its caps.
    public var longest: Duration { self.caps.map(\.window).max() ?? .zero }
}

/// What became of a reservation.
public enum CapOutcome: Sendable, Equatable {
    /// All it wants to show is reserved but for `refused`. Where anything is refused, `full` are those of the others that would
    /// be, too.
    case reserved(refused: Set<Item.Number>, full: Set<Item.Number>)
    /// Nothing is reserved: it is not known what was shown to the user before.
    case incomplete
}

/// An item that was really shown.
public struct ShownItem: Sendable, Hashable {
    /// The item.
    public let number: Item.Number
    /// The recommendation, 16 bytes, which begin with its time.
    public let recommendationID: [UInt8]
    /// Where it was shown.
    public let surface: String

    /// A showing of these parts.
    public init(number: Item.Number, recommendationID: [UInt8], surface: String) {
        self.number = number
        self.recommendationID = recommendationID
        self.surface = surface
    }
}

/// Counts how often which item is shown to which user, for the whole fleet. What is reserved counts at once, and no more after
/// a while unless it is confirmed. Any call may be made twice.
public protocol FrequencyCounters: Sendable {
    /// Reserves what may be shown by all of its caps.
    func reserve(_ reservation: CapReservation, tenant: Tenant.ID) async throws(RepositoryError) -> CapOutcome
    /// What was reserved, or was not, has been shown: it counts from the time of its recommendation on, and is kept for `time`.
    func confirm(
        _ shown: [User.ID: [ShownItem]],
        keeping time: Duration,
        tenant: Tenant.ID
    ) async throws(RepositoryError)
    /// Adds all that was shown to a user within a time, as far back as caps may ask: the counters are whole from now on.
    func complete(
        _ shown: [ShownItem],
        of user: User.ID,
        covering time: Duration,
        tenant: Tenant.ID
    ) async throws(RepositoryError)
    /// Something was shown to users that is not counted: what is there is not whole any more.
    func doubt(_ users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError)
    /// Forgets all of a user.
    func forget(_ user: User.ID, tenant: Tenant.ID) async throws(RepositoryError)
}
