/// A training that was asked for; the builder of the fleet does them one after the other.
public struct ModelJob: Sendable, Equatable {
    /// The store's number of a job; shown as `b` and the number.
    public typealias Number = Int64

    /// How far it has come.
    public enum State: String, Sendable {
        case queued, running, done, failed
    }

    /// What is to be done.
    public struct Order: Sendable, Equatable {
        /// The recipe; nil: the one that training takes by itself.
        public var recipe: String?
        /// Whether the model is put into service.
        public var activates: Bool
        /// Whether it is so however it compares.
        public var forces: Bool

        /// An order of these parts.
        public init(recipe: String? = nil, activates: Bool, forces: Bool = false) {
            self.recipe = recipe
            self.activates = activates
            self.forces = forces
        }
    }

    /// The number.
    public var number: Number
    /// Whose model it builds.
    public var tenant: Tenant.ID
    /// What is to be done.
    public var order: Order
    /// How far it has come.
    public var state: State
    /// The version that it built; nil: none yet.
    public var model: ModelVersion.Number?
    /// Why it failed, or why the version it built does not serve; nil: neither.
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
        order: Order,
        state: State,
        model: ModelVersion.Number? = nil,
        reason: String? = nil,
        createdAt: Timestamp,
        startedAt: Timestamp? = nil,
        finishedAt: Timestamp? = nil
    ) {
        self.number = number
        self.tenant = tenant
        self.order = order
        self.state = state
        self.model = model
        self.reason = reason
        self.createdAt = createdAt
        self.startedAt = startedAt
        self.finishedAt = finishedAt
    }

    /// The name in answers, for example `b7`.
    public static func name(_ number: Number) -> String { "b\(number)" }
    /// The number in a name as ``name(_:)`` writes it; nil for any other text.
    public static func number(_ name: String) -> Number? { NumberedName.number(name, letter: "b") }
}

/// The queue of trainings.
public protocol ModelJobRepository: Sendable {
    /// Puts a training into the queue; its number.
    ///
    /// - Throws: `conflict` where the tenant has as many waiting as are allowed.
    func submit(_ order: ModelJob.Order, tenant: Tenant.ID) async throws(RepositoryError) -> ModelJob.Number
    /// A job of a tenant; nil: there is none of that number.
    func job(_ number: ModelJob.Number, tenant: Tenant.ID) async throws(RepositoryError) -> ModelJob?
    /// The oldest job that is not done, now running; nil: there is none. Called by the builder alone: one that is running
    /// already was begun by a builder that is gone.
    func next() async throws(RepositoryError) -> ModelJob?
    /// Writes what became of a job.
    func finish(
        _ number: ModelJob.Number,
        model: ModelVersion.Number?,
        failed: Bool,
        reason: String?
    ) async throws(RepositoryError)
}
