package import LoadClient

/// What a run does.
package struct CheckOptions: Sendable {
    /// The users a run draws from.
    package enum Users: Sendable {
        case numbered(IDFormat, count: Int)
        case listed([String])

        package var count: Int {
            switch self {
            case .numbered(_, let count): count
            case .listed(let ids): ids.count
            }
        }

        func id(_ index: Int) -> OpaqueID {
            switch self {
            case .numbered(let format, _): OpaqueID(format.id(index + 1))
            case .listed(let ids): OpaqueID(ids[index])
            }
        }
    }

    package var nodes: [Address]
    /// The administration's addresses, for tombstones; as many as there are nodes, in their order, or any number: then nobody
    /// knows which node takes one.
    package var admins: [Address] = []
    /// Sent as `Authorization: Bearer`; never shown.
    package var key: String?
    package var users: Users
    /// User k is drawn with the probability of k^-exponent.
    package var exponent = 1.0
    package var duration: Duration
    /// How many users have a write that is followed, at once.
    package var writers = 64
    /// How many read on their own account, each twenty times a second at most.
    package var readers = 8
    package var kinds: [WriteKind] = [.purchase, .suppression]
    /// The freshness lease of the fleet.
    package var bound: Duration = .seconds(1)
    /// See ``Judge``.
    package var relay: Duration?
    package var timeout: Duration = .seconds(5)
    /// Of every list.
    package var limit = 20
    package var seed: UInt64 = 42
    /// Below so many judged pairs a run proves nothing.
    package var minimumPairs = 100

    package init(nodes: [Address], users: Users, duration: Duration) {
        self.nodes = nodes
        self.users = users
        self.duration = duration
    }
}
