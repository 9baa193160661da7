/// What is checked: by whom a change was brought to the nodes.
public enum SelfCheckKind: String, CaseIterable, Sendable {
    /// A write whose invalidation the node that took it published itself.
    case write
    /// A write that the relay brought, whoever took it: where its own node could not publish, or died, nobody else does.
    case relay
    /// A tombstone, by the control log.
    case tombstone
}

/// A thing that every answer to an owner's users keeps out, since a change of the control state.
public struct Denial: Sendable, Hashable {
    /// Whose.
    public let owner: String
    /// What kind of thing.
    public let kind: String
    /// Its name, compared by bytes.
    public let name: String
    /// The change.
    public let epoch: Int64

    /// A denial by a change.
    public init(owner: String, kind: String, name: String, epoch: Int64) {
        self.owner = owner
        self.kind = kind
        self.name = name
        self.epoch = epoch
    }

    /// Whether two denials have the same bytes.
    public static func == (lhs: Self, rhs: Self) -> Bool { lhs.epoch == rhs.epoch && lhs.bytes == rhs.bytes }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.epoch)
        hasher.combine(self.bytes)
    }

    /// The name of what is denied, as bytes.
    var bytes: [UInt8] { Array("\(self.owner)\0\(self.kind)\0\(self.name)".utf8) }
}

/// What nodes are asked about.
public enum SelfCheckSubject: Sendable, Equatable {
    /// A write that went out before it was acknowledged.
    case write(Invalidation)
    /// A write that a pass of the relay brought.
    case relayed(Invalidation)
    /// A denial that was announced.
    case denial(Denial)

    /// Whose entries it makes void; nil: everybody's.
    var owner: CacheKey? {
        switch self {
        case .write(let invalidation), .relayed(let invalidation): invalidation.key
        case .denial: nil
        }
    }

    /// By whom it was brought.
    public var kind: SelfCheckKind {
        switch self {
        case .write: .write
        case .relayed: .relay
        case .denial: .tombstone
        }
    }

    /// The version that is older than nothing that may be served, or the id in the control log.
    public var version: Int64 {
        switch self {
        case .write(let invalidation), .relayed(let invalidation): invalidation.version
        case .denial(let denial): denial.epoch
        }
    }

    /// What it is of, as bytes.
    public var bytes: [UInt8] {
        switch self {
        case .write(let invalidation), .relayed(let invalidation): invalidation.key.bytes
        case .denial(let denial): denial.bytes
        }
    }

    /// What a node is asked.
    var question: SelfCheckQuestion {
        switch self {
        case .write(let invalidation), .relayed(let invalidation):
            .held(HeldQuestion(key: invalidation.key, version: invalidation.version))
        case .denial(let denial): .denied(denial)
        }
    }
}

/// A question to a node.
public enum SelfCheckQuestion: Sendable, Equatable {
    /// What it would serve, without asking anybody, that is older than a version.
    case held(HeldQuestion)
    /// Whether it keeps a thing out of its answers.
    case denied(Denial)
}

/// What this node keeps out of its answers, and what it should.
public protocol DenialProbe: Sendable {
    /// Whether this node keeps it out now; nil: it does not know such a kind.
    func denies(_ denial: Denial) -> Bool?
    /// Whether it is still denied by that change and no later one, as the store has it.
    func stands(_ denial: Denial) async throws -> Bool
}
