/// A computation of active users' lists ahead of their requests; the builder of the fleet does one after the other.
public struct WarmJob: Sendable, Equatable {
    /// The store's number of a job; shown as `w` and the number.
    public typealias Number = Int64

    /// How far it has come.
    public typealias State = ModelJob.State

    /// How many users were done.
    public struct Progress: Sendable, Equatable {
        /// How many there are to do; nil: that is not known yet.
        public var total: Int?
        /// Whose list was computed.
        public var computed: Int
        /// Whose list was there already, fresh, or who have none of their own.
        public var held: Int
        /// Whose list could not be computed.
        public var failed: Int

        /// A progress of these counts.
        public init(total: Int? = nil, computed: Int = 0, held: Int = 0, failed: Int = 0) {
            self.total = total
            self.computed = computed
            self.held = held
            self.failed = failed
        }
    }

    /// The number.
    public var number: Number
    /// Whose users they are.
    public var tenant: Tenant.ID
    /// The surface whose lists are computed.
    public var surface: String
    /// Whether nobody has asked for it.
    public var isScheduled: Bool
    /// How far it has come.
    public var state: State
    /// The same in users.
    public var progress: Progress
    /// Why it failed; nil: it did not.
    public var reason: String?
    /// When it was asked for.
    public var createdAt: Timestamp
    /// When the builder began; nil: not yet.
    public var startedAt: Timestamp?
    /// When it ended; nil: not yet.
    public var finishedAt: Timestamp?

    /// A job of these parts.
    public init(
        number: Number,
        tenant: Tenant.ID,
        surface: String,
        isScheduled: Bool,
        state: State,
        progress: Progress = Progress(),
        reason: String? = nil,
        createdAt: Timestamp,
        startedAt: Timestamp? = nil,
        finishedAt: Timestamp? = nil
    ) {
        self.number = number
        self.tenant = tenant
        self.surface = surface
        self.isScheduled = isScheduled
        self.state = state
        self.progress = progress
        self.reason = reason
        self.createdAt = createdAt
        self.startedAt = startedAt
        self.finishedAt = finishedAt
    }

    /// The name in answers, for example `w3`.
    public static func name(_ number: Number) -> String { "w\(number)" }
    /// The number in a name as ``name(_:)`` writes it; nil for any other text.
    public static func number(_ name: String) -> Number? { NumberedName.number(name, letter: "w") }
}

/// The queue of such jobs.
public protocol WarmJobRepository: Sendable {
    /// Puts a job into the queue; its number. Where one of the same surface waits already, that one's.
    func submit(surface: String, isScheduled: Bool, tenant: Tenant.ID) async throws(RepositoryError) -> WarmJob.Number
    /// A job of a tenant; nil: there is none of that number, or it is long over.
    func job(_ number: WarmJob.Number, tenant: Tenant.ID) async throws(RepositoryError) -> WarmJob?
    /// The oldest job that is not done, now running; nil: there is none. Called by the builder alone: one that is running
    /// already was begun by a builder that is gone.
    func next() async throws(RepositoryError) -> WarmJob?
    /// Writes how far a job has come, and what became of it where its state is no longer running.
    func write(
        _ progress: WarmJob.Progress,
        _ state: WarmJob.State,
        reason: String?,
        of number: WarmJob.Number
    ) async throws(RepositoryError)
}

/// Who is active.
public protocol ActivityRepository: Sendable {
    /// The users with an event since a time, those with the newest first.
    func activeUsers(since time: Timestamp, limit: Int, tenant: Tenant.ID) async throws(RepositoryError) -> [User.ID]
    /// At most so many users, evenly spread over all in the order in which they came: the same ones while nobody comes.
    func sample(_ count: Int, tenant: Tenant.ID) async throws(RepositoryError) -> [User.ID]
}
