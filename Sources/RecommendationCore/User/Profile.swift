/// What clients tell of a user.
public struct Profile: Sendable, Equatable {
    /// By name.
    public var labels: [String: String]
    /// Categories the user says to like, most liked first.
    public var preferredCategories: [String]

    /// A profile of these parts.
    public init(labels: [String: String] = [:], preferredCategories: [String] = []) {
        self.labels = labels
        self.preferredCategories = preferredCategories
    }

    /// The most preferred categories.
    public static let maximumCategories = 64
}

/// A user as the store has it, without the history.
public struct StoredUser: Sendable, Equatable {
    /// What clients tell.
    public var profile: Profile
    /// Whether the user allows personalisation.
    public var consent: Bool
    /// What must not be shown, in order of kind and key.
    public var suppressions: [Suppression]
    /// The version the rest was read at.
    public var version: User.Version

    /// A user of these parts.
    public init(profile: Profile, consent: Bool, suppressions: [Suppression], version: User.Version) {
        self.profile = profile
        self.consent = consent
        self.suppressions = suppressions
        self.version = version
    }
}

/// A change of a user by a client.
public enum UserChange: Sendable, Equatable {
    /// The profile, whole.
    case profile(Profile)
    /// Whether personalisation is allowed.
    case consent(Bool)
    /// Something is not to be shown any more.
    case suppress(Suppression)
    /// It may be shown again.
    case unsuppress(Suppression)
    /// The history counts no more. What the user has said (profile, consent, suppressions) stays.
    case reset

    /// Whether it makes a user who is not known. A wish not to be shown something, or not to be personalised, is kept of
    /// whoever has it.
    public var createsUser: Bool {
        switch self {
        case .profile, .consent, .suppress: true
        case .unsuppress, .reset: false
        }
    }

    /// Whether lists from before it are gone on with by nobody who pages through them.
    public var endsCursors: Bool {
        switch self {
        case .consent, .suppress, .reset: true
        case .profile, .unsuppress: false
        }
    }
}

/// What became of a change of a user.
public enum UserWrite: Sendable, Equatable {
    /// The user is as asked for, at this version; where that was so before, the version was not raised.
    ///
    /// `transaction`: that of the journal row, or one after it.
    case stored(version: User.Version, transaction: UInt64)
    case unknownUser
    /// The user has as many suppressions as a user may have.
    case tooManySuppressions
}

/// What clients tell of users, and what users do not want. Every change raises the version and appends to the journal in its
/// transaction.
public protocol ProfileRepository: Sendable {
    /// A user; nil: nobody has heard of them.
    func user(_ user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> StoredUser?
    /// Makes a change.
    func apply(_ change: UserChange, to user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserWrite
}
