/// The state of a model version.
public enum ModelState: String, Sendable {
    case building, ready, active, retired
}

/// One immutable model of a tenant, as the registry lists it.
public struct ModelVersion: Sendable, Equatable {
    /// The registry's number of the version; shown as `m` and the number.
    public typealias Number = Int64

    /// The number.
    public var number: Number
    /// The tenant it was trained for.
    public var tenant: Tenant.ID
    /// Where it stands.
    public var state: ModelState
    /// The name of the recipe.
    public var recipe: String
    /// When it was built.
    public var builtAt: Timestamp
    /// Interactions read.
    public var interactions: Int64
    /// Users with at least one interaction.
    public var users: Int64
    /// Items of the catalogue when it was built.
    public var items: Int64
    /// Size of the artifact in bytes.
    public var bytes: Int64
    /// Checksum of the artifact.
    public var checksum: UInt64
    /// Figures of the evaluation at training time, by name (`ndcg_at_10`, `recall_at_10`).
    public var metrics: [String: Double]

    /// A version of these parts.
    public init(
        number: Number,
        tenant: Tenant.ID,
        state: ModelState,
        recipe: String,
        builtAt: Timestamp,
        interactions: Int64,
        users: Int64,
        items: Int64,
        bytes: Int64,
        checksum: UInt64,
        metrics: [String: Double]
    ) {
        self.number = number
        self.tenant = tenant
        self.state = state
        self.recipe = recipe
        self.builtAt = builtAt
        self.interactions = interactions
        self.users = users
        self.items = items
        self.bytes = bytes
        self.checksum = checksum
        self.metrics = metrics
    }

    /// The name in answers, for example `m42`.
    public static func name(_ number: Number) -> String { "m\(number)" }
}
