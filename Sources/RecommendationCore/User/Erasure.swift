/// The erasure of a user: accepted in one transaction, from which on nobody knows the user; finished when no trace is left.
public struct Erasure: Sendable, Equatable {
    /// The store's number of an erasure; shown as `j` and the number.
    public typealias Number = Int64

    /// How far it has come. `failed` says that the last attempt did; the next comes by itself.
    public typealias State = ModelJob.State

    /// What was removed.
    public struct Removed: Sendable, Equatable {
        /// Keys of Redis that are gone, or from which something was taken.
        public var redisKeys: Int
        /// Rows of PostgreSQL.
        public var rows: Int
        /// Records of decisions.
        public var decisions: Int

        /// These counts.
        public init(redisKeys: Int = 0, rows: Int = 0, decisions: Int = 0) {
            self.redisKeys = redisKeys
            self.rows = rows
            self.decisions = decisions
        }
    }

    /// The number.
    public var number: Number
    /// How far it has come.
    public var state: State
    /// What was removed so far.
    public var removed: Removed
    /// Why the last attempt failed; nil: it did not.
    public var reason: String?
    /// When it was accepted.
    public var createdAt: Timestamp
    /// When nothing was left; nil: not yet.
    public var finishedAt: Timestamp?

    /// An erasure of these parts.
    public init(
        number: Number,
        state: State,
        removed: Removed = Removed(),
        reason: String? = nil,
        createdAt: Timestamp,
        finishedAt: Timestamp? = nil
    ) {
        self.number = number
        self.state = state
        self.removed = removed
        self.reason = reason
        self.createdAt = createdAt
        self.finishedAt = finishedAt
    }

    /// The name in answers, for example `j1`.
    public static func name(_ number: Number) -> String { "j\(number)" }
    /// The number in a name as ``name(_:)`` writes it; nil for any other text.
    public static func number(_ name: String) -> Number? { NumberedName.number(name, letter: "j") }
}

/// An erasure that is accepted and not finished.
public struct OpenErasure: Sendable, Equatable {
    /// Its number.
    public var number: Erasure.Number
    /// Whose user.
    public var tenant: Tenant.ID
    /// Who.
    public var user: User.ID
    /// What is older is of the life that is erased.
    public var version: User.Version
    /// The transaction that accepted it.
    public var transaction: UInt64
    /// When it was accepted, in milliseconds of Redis time.
    public var acceptedAt: Int64

    /// An erasure of these parts.
    public init(
        number: Erasure.Number,
        tenant: Tenant.ID,
        user: User.ID,
        version: User.Version,
        transaction: UInt64,
        acceptedAt: Int64
    ) {
        self.number = number
        self.tenant = tenant
        self.user = user
        self.version = version
        self.transaction = transaction
        self.acceptedAt = acceptedAt
    }
}

/// Erases users from the store, and keeps what is still to be done elsewhere.
public protocol ErasureRepository: Sendable {
    /// Takes a user away, so that nobody knows them from the commit on, appends to the journal, and notes what is left to do.
    ///
    /// - Parameters:
    ///   - hash: Of tenant and user, under a key: what stays of them.
    ///   - milliseconds: Redis time now.
    func accept(
        _ user: User.ID,
        hash: [UInt8],
        at milliseconds: Int64,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> OpenErasure
    /// An erasure of a tenant; nil: there is none of that number.
    func erasure(_ number: Erasure.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Erasure?
    /// Those that are not finished, the oldest first, at most so many.
    func open(limit: Int) async throws(RepositoryError) -> [OpenErasure]
    /// Removes a part of the rows that are left of a user. True: there are more.
    func removeRows(of number: Erasure.Number) async throws(RepositoryError) -> Bool
    /// Writes what an attempt came to. Of those that are done the rows of the journal are removed, and who they were is forgotten.
    func settle(
        _ attempts: [(number: Erasure.Number, attempt: ErasureAttempt)]
    ) async throws(RepositoryError)
}

/// What an attempt to finish an erasure came to.
public enum ErasureAttempt: Sendable, Equatable {
    /// Nothing is left elsewhere; from so many keys of Redis it was taken.
    case done(redisKeys: Int)
    /// Why it failed.
    case failed(String)
}

/// Where users leave traces outside the store.
public protocol UserTraces: Sendable {
    /// Removes all of a user that is of before the erasure; from how many keys. Again, it finds what came meanwhile.
    func remove(_ erasure: OpenErasure) async throws(RepositoryError) -> Int
}
