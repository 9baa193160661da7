/// The state of a model version.
public enum ModelState: String, Sendable {
    case building, ready, active, retired
}

/// What a candidate is compared with: another version, measured on the events that the candidate was measured on.
public struct ModelBaseline: Sendable, Equatable {
    /// The version that was active.
    public var number: ModelVersion.Number
    /// Its figures, by the names of ``ModelVersion/metrics``.
    public var metrics: [String: Double]

    /// A baseline of these parts.
    public init(number: ModelVersion.Number, metrics: [String: Double]) {
        self.number = number
        self.metrics = metrics
    }
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
    /// The recipe's parameters, by name.
    public var parameters: [String: Double]
    /// When it was built.
    public var builtAt: Timestamp
    /// The moment of the oldest interaction it was fitted on; nil: there was none, or it is not known.
    public var firstEvent: Timestamp?
    /// The moment of the newest one.
    public var lastEvent: Timestamp?
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
    /// How the version that was active at training time did on the same slice; nil: there was none, or it was not measured.
    public var baseline: ModelBaseline?

    /// What the recipe of a model that was brought from elsewhere begins with.
    public static let importedPrefix = "imported-"

    /// Whether it was brought from elsewhere: no training replaces it by itself.
    public var isImported: Bool { self.recipe.utf8.starts(with: Self.importedPrefix.utf8) }

    /// A version of these parts.
    public init(
        number: Number,
        tenant: Tenant.ID,
        state: ModelState,
        recipe: String,
        parameters: [String: Double] = [:],
        builtAt: Timestamp,
        firstEvent: Timestamp? = nil,
        lastEvent: Timestamp? = nil,
        interactions: Int64,
        users: Int64,
        items: Int64,
        bytes: Int64,
        checksum: UInt64,
        metrics: [String: Double],
        baseline: ModelBaseline? = nil
    ) {
        self.number = number
        self.tenant = tenant
        self.state = state
        self.recipe = recipe
        self.parameters = parameters
        self.builtAt = builtAt
        self.firstEvent = firstEvent
        self.lastEvent = lastEvent
        self.interactions = interactions
        self.users = users
        self.items = items
        self.bytes = bytes
        self.checksum = checksum
        self.metrics = metrics
        self.baseline = baseline
    }

    /// The checksum as it is shown: 16 hexadecimal digits.
    public var checksumText: String { ModelSeal(bytes: self.bytes, checksum: self.checksum).checksumText }

    /// The name in answers, for example `m42`.
    public static func name(_ number: Number) -> String { "m\(number)" }

    /// The number in a name as ``name(_:)`` writes it; nil for any other text.
    public static func number(_ name: String) -> Number? { NumberedName.number(name, letter: "m") }
}
