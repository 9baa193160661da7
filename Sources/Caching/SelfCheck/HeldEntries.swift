import Synchronization

/// Asks a node what it would serve, without asking anybody, that is older than a version.
public struct HeldQuestion: Sendable, Equatable {
    /// Whose entries.
    public let key: CacheKey
    /// What is older must not be served.
    public let version: Int64

    /// A question after what is older than a version.
    public init(key: CacheKey, version: Int64) {
        self.key = key
        self.version = version
    }
}

/// What a node would serve at one moment, and by what right.
public struct HeldAnswer: Sendable, Equatable {
    /// An entry that is older than was asked.
    public struct Entry: Sendable, Equatable {
        /// Its name, as bytes of ``CacheField``.
        public var field: String
        /// The version it was computed from.
        public var version: Int64
        /// Since when, in milliseconds.
        public var ageMilliseconds: Int64

        /// An entry of these parts.
        public init(field: String, version: Int64, ageMilliseconds: Int64) {
            self.field = field
            self.version = version
            self.ageMilliseconds = ageMilliseconds
        }
    }

    /// None: the node would ask, or what it would serve is new enough.
    public var entries: [Entry]
    /// What proves the node fresh: `bus`, `journal` or `none`.
    public var proof: String
    /// What its entries must be stamped with.
    public var session: UInt64?
    /// How long ago it was proved fresh; nil: it is not.
    public var leaseAgeMilliseconds: Int64?
    /// The length of its lease: for so long it may serve what is older.
    public var leaseMilliseconds: Int64

    /// An answer of these parts.
    public init(
        entries: [Entry],
        proof: String,
        session: UInt64?,
        leaseAgeMilliseconds: Int64?,
        leaseMilliseconds: Int64
    ) {
        self.entries = entries
        self.proof = proof
        self.session = session
        self.leaseAgeMilliseconds = leaseAgeMilliseconds
        self.leaseMilliseconds = leaseMilliseconds
    }
}

extension CoherenceKeeper {
    /// What a request that arrives now would be answered from, of L1 alone. A look: no entry counts as used, none is verified,
    /// and no store is asked.
    public func held(_ question: HeldQuestion) -> HeldAnswer {
        let moment = self.moment()
        let proof = self.state.withLock { $0.proof(at: moment.instant) }
        var entries: [HeldAnswer.Entry] = []
        if moment.isLive, let session = moment.session {
            for (field, hit) in self.local.hits(of: question.key)
            where hit.session == session && hit.entry.version < question.version
                && moment.milliseconds < hit.entry.hardExpiry
            {
                entries.append(
                    HeldAnswer.Entry(
                        field: String(decoding: field.bytes, as: UTF8.self),
                        version: hit.entry.version,
                        ageMilliseconds: max(0, moment.milliseconds - hit.entry.computedAt)
                    )
                )
            }
        }
        return HeldAnswer(
            entries: entries,
            proof: proof.rawValue,
            session: moment.session,
            leaseAgeMilliseconds: self.leaseAge().map(\.milliseconds),
            leaseMilliseconds: self.settings.lease.milliseconds
        )
    }
}
