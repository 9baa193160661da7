/// What is written, named by what no list may show afterwards.
package enum WriteKind: String, Sendable, CaseIterable {
    /// A user buys an item that was in the user's list.
    case purchase
    /// A user does not want an item.
    case suppression
    /// A user does not want to be personalised.
    case consent
    /// A user's history counts no more.
    case reset
    /// Nobody knows a user any more.
    case erasure
    /// An item is denied.
    case tombstone
    /// An item is hidden.
    case hidden
    /// An item is out of stock.
    case stock
    /// What was computed before is served no more.
    case purge

    /// Whether it is about every list, and not about one user's.
    package var isControl: Bool {
        switch self {
        case .purchase, .suppression, .consent, .reset, .erasure: false
        case .tombstone, .hidden, .stock, .purge: true
        }
    }

    /// Whether it is written to the administration.
    package var isOfAdministration: Bool { self == .tombstone || self == .purge }
}

/// A write, as its caller knows it.
package struct Write: Sendable, Equatable {
    package typealias ID = Int

    package var kind: WriteKind
    /// nil: it is about every list.
    package var user: OpaqueID?
    /// What must not be shown after it; nil: anything explained by the user's history, or computed before a purge.
    package var item: OpaqueID?
    /// The node that was asked; nil: which one it was is not known.
    package var node: Int?
    /// Before its first byte was sent.
    package var begin: Duration

    package init(kind: WriteKind, user: OpaqueID? = nil, item: OpaqueID? = nil, node: Int?, begin: Duration) {
        self.kind = kind
        self.user = user
        self.item = item
        self.node = node
        self.begin = begin
    }
}

/// What a write was answered with.
package struct Acknowledgement: Sendable, Equatable {
    /// When the answer was there.
    package var at: Duration
    package var userVersion: Int64?
    /// False: it is durable, and other nodes hear of it by the relay's next pass, or by their own reads.
    package var propagated: Bool
    /// Whether the answer was given only after every node had heard (`wait=all`).
    package var isEverywhere: Bool

    package init(at: Duration, userVersion: Int64? = nil, propagated: Bool = true, isEverywhere: Bool = false) {
        self.at = at
        self.userVersion = userVersion
        self.propagated = propagated
        self.isEverywhere = isEverywhere
    }
}

/// A list that was read, judged by what it holds.
package struct Read: Sendable {
    package var node: Int
    /// The request's target, for a person.
    package var path: String
    /// Whose list it is; nil: nobody's.
    package var user: OpaqueID?
    /// Before its first byte was sent.
    package var begin: Duration
    /// When the answer was there to its last byte.
    package var end: Duration
    /// `X-Min-Version`; 0: none.
    package var minimumVersion: Int64 = 0
    package var items: [OpaqueID] = []
    /// Whether an item is explained by the user's history.
    package var isPersonal = false
    /// How long before the answer it was computed, as the answer says; nil: it is not a list that is computed for a user.
    package var age: Duration?
    /// Of this answer and no other; nil: it has none.
    package var answer: UInt128?
    /// Whether the answer says that what the user has had or does not want could not be known, which the policy allows.
    package var isUnverified = false
    /// Whether it says so of what all lists depend on: tombstones, stock, what is hidden.
    package var isControlUnverified = false
    /// What the answer says of itself, for a person.
    package var declared = ""
    /// The write that it was made to judge.
    package var probed: Write.ID?

    package init(node: Int, path: String, user: OpaqueID?, begin: Duration, end: Duration) {
        self.node = node
        self.path = path
        self.user = user
        self.begin = begin
        self.end = end
    }
}

/// A list that held what it must not hold any more.
package struct Violation: Sendable {
    package var write: Write
    package var acknowledgement: Acknowledgement
    package var read: Read
    /// How long after the acknowledgement a read may still have begun.
    package var bound: Duration
}
