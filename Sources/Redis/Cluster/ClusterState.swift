/// A node, from when it is known to when it is given up.
struct ClusterNodeID: Sendable, Hashable {
    let address: RedisAddress
    let number: UInt64
}

/// What is known of a cluster and how far it is connected: pure state.
///
/// A session is one connection to each primary, with every slot owned. It ends with the first of them that is lost and with any
/// change of who has which slots, so that nothing that was begun over one set of servers is ended over another.
struct ClusterState<Client: Sendable>: Sendable {
    /// What a transition asks of the owner, in this order.
    struct Effects {
        var ended: UInt64?
        /// Where the pinned slot is, if that has changed.
        var moved: RedisAddress?
        var began: UInt64?
        var started: [Client] = []
        var stopped: [Client] = []
    }

    /// Where a command goes.
    struct Place {
        let client: Client
        /// Of the client.
        let connection: UInt64
        /// Of the cluster.
        let session: UInt64
        /// Among the primaries.
        let index: Int
    }

    private struct Node {
        let client: Client
        let number: UInt64
        var connection: UInt64?
        var view: ClusterView?
    }

    private let seeds: Set<RedisAddress>
    private let pinned: String
    private let make: @Sendable (ClusterNodeID) -> Client
    private var lastNumber: UInt64 = 0
    private var nodes: [RedisAddress: Node] = [:]
    private var topology: ClusterTopology?
    private var connections: [UInt64] = []
    private var lastSession: UInt64 = 0
    private(set) var session: UInt64?
    /// Of the primaries, that of the pinned tag first; none while nothing is known.
    private(set) var shards: [RedisShard] = []

    /// - Parameters:
    ///   - pinned: A tag that the shard which has its slot is known by, whichever that is.
    ///   - make: Makes the client of a node; it is run when it is among `started`.
    init(seeds: [RedisAddress], pinned: String, make: @escaping @Sendable (ClusterNodeID) -> Client) {
        self.seeds = Set(seeds)
        self.pinned = pinned
        self.make = make
    }

    /// Of everybody that can be asked.
    var connected: [Client] { nodes.values.filter { $0.connection != nil }.map(\.client) }

    func client(at address: RedisAddress) -> Client? {
        nodes[address].flatMap { $0.connection == nil ? nil : $0.client }
    }

    func place(of slot: HashSlot, session wanted: UInt64?) throws(RedisError) -> Place {
        guard let session, let topology, let index = topology.owner(of: slot),
            let node = nodes[topology.primaries[index]]
        else { throw .notConnected }
        guard wanted == nil || wanted == session else { throw .sessionChanged }
        return Place(client: node.client, connection: connections[index], session: session, index: index)
    }

    mutating func began() -> Effects {
        var effects = Effects()
        for seed in seeds { start(seed, &effects) }
        return effects
    }

    mutating func connected(_ id: ClusterNodeID, connection: UInt64) -> Effects {
        guard isKnown(id) else { return Effects() }
        nodes[id.address]?.connection = connection
        return update(isTold: false)
    }

    mutating func lost(_ id: ClusterNodeID) -> Effects {
        guard isKnown(id) else { return Effects() }
        nodes[id.address]?.connection = nil
        // What it said last is not known to hold. Where nobody else says anything, that is still the best guess.
        let isTold = nodes.values.contains { $0.connection != nil && $0.view != nil }
        if isTold { nodes[id.address]?.view = nil }
        return update(isTold: isTold)
    }

    mutating func answered(_ id: ClusterNodeID, _ view: ClusterView) -> Effects {
        guard isKnown(id), nodes[id.address]?.view != view else { return Effects() }
        nodes[id.address]?.view = view
        return update(isTold: true)
    }

    /// One that was given up may still be heard of after another has taken its place.
    private func isKnown(_ id: ClusterNodeID) -> Bool { nodes[id.address]?.number == id.number }

    /// - Parameter isTold: Whether a node says something else than before.
    private mutating func update(isTold: Bool) -> Effects {
        var effects = Effects()
        var isMoved = false
        let views = isTold ? nodes.values.compactMap(\.view) : []
        if !views.isEmpty {
            let latest = ClusterTopology(views)
            isMoved = latest != topology
            if isMoved { adopt(latest, &effects) }
            keepMembers(views, &effects)
        }
        let now = topology?.primaries.map { nodes[$0]?.connection } ?? []
        let isWhole = topology?.isComplete == true && !now.contains(nil)
        guard isMoved || !isWhole || session == nil || connections != now.compactMap(\.self) else { return effects }
        effects.ended = session
        session = nil
        if isWhole {
            lastSession += 1
            session = lastSession
            connections = now.compactMap(\.self)
            effects.began = session
        }
        return effects
    }

    private mutating func adopt(_ latest: ClusterTopology, _ effects: inout Effects) {
        let before = topology
        topology = latest
        let slot = HashSlot(of: Array(pinned.utf8))
        let place = latest.primary(of: slot)
        if let place, place != before?.primary(of: slot) { effects.moved = place }
        let others = latest.primaries.filter { $0 != place }.compactMap { latest.tag(of: $0) }
        shards = (place == nil ? [] : [RedisShard(tag: pinned)]) + others.map { RedisShard(tag: $0) }
        for primary in latest.primaries { start(primary, &effects) }
    }

    private mutating func keepMembers(_ views: [ClusterView], _ effects: inout Effects) {
        let members = views.reduce(into: seeds.union(topology?.primaries ?? [])) { $0.formUnion($1.members) }
        for member in members { start(member, &effects) }
        for (address, node) in nodes where !members.contains(address) {
            effects.stopped.append(node.client)
            nodes[address] = nil
        }
    }

    private mutating func start(_ address: RedisAddress, _ effects: inout Effects) {
        guard nodes[address] == nil else { return }
        lastNumber += 1
        let client = make(ClusterNodeID(address: address, number: lastNumber))
        nodes[address] = Node(client: client, number: lastNumber)
        effects.started.append(client)
    }
}
