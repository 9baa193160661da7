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
    /// Whether the node keeps out what it was asked about; nil: it was asked something else, or cannot say.
    public var denies: Bool?
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
        denies: Bool? = nil,
        proof: String,
        session: UInt64?,
        leaseAgeMilliseconds: Int64?,
        leaseMilliseconds: Int64
    ) {
        self.entries = entries
        self.denies = denies
        self.proof = proof
        self.session = session
        self.leaseAgeMilliseconds = leaseAgeMilliseconds
        self.leaseMilliseconds = leaseMilliseconds
    }
}

extension HeldAnswer {
    /// Whether the node would serve, without asking anybody, what it must not.
    var isStale: Bool {
        // Without a lease it would ask, and deny by what it learns.
        !self.entries.isEmpty || self.denies == false && self.proof != JournalSession.Proof.none.rawValue
    }
}

extension CoherenceKeeper {
    /// What this node says to a question. A look: no entry counts as used, none is verified, and no store is asked.
    public func answer(_ question: SelfCheckQuestion, by probe: any DenialProbe) -> HeldAnswer {
        switch question {
        case .held(let question): return self.held(question)
        case .denied(let denial):
            // The lease first: what is not denied after that moment was not at it.
            var answer = self.standing(entries: [], at: self.moment())
            answer.denies = probe.denies(denial)
            return answer
        }
    }

    /// What a request that arrives now would be answered from, of L1 alone.
    func held(_ question: HeldQuestion) -> HeldAnswer {
        let moment = self.moment()
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
        return self.standing(entries: entries, at: moment)
    }

    private func standing(entries: [HeldAnswer.Entry], at moment: Moment) -> HeldAnswer {
        HeldAnswer(
            entries: entries,
            proof: self.state.withLock { $0.proof(at: moment.instant) }.rawValue,
            session: moment.session,
            leaseAgeMilliseconds: self.leaseAge().map(\.milliseconds),
            leaseMilliseconds: self.settings.lease.milliseconds
        )
    }
}
