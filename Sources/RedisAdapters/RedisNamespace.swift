import Caching
import RecommendationCore
import Redis
import Synchronization

/// The schema of keys and channels. The incarnation of the data is part of every key, and may change while a node runs.
///
///     vireo:INCARNATION:{TENANT/USER}        floor, lease and entries of a user (a CacheKey after the prefix)
///     vireo:INCARNATION:relayed              how far the relay has brought the journal; in a cluster one a shard, with :{TAG}
///     vireo:INCARNATION:pass                 the relay's last pass, which nodes see change; in a cluster where the bus is
///     vireo:INCARNATION:heartbeat:NODE       the last heartbeat of a node; likewise
///     vireo:INCARNATION:warm:NODE            what the node was asked for most; vireo:INCARNATION:warm: the last node's
///     vireo:INCARNATION:warmed               which nodes have left that
///     vireo:session:INCARNATION:{TENANT/SESSION}   the newest events of a session (the parts encoded as in a CacheKey)
///     vireo:shown:INCARNATION:{TENANT/USER}  what is shown to a user, for frequency caps (likewise)
///     vireo:rate:INCARNATION:{_keys/KEY}     how much of its limit a key has used, by the public part of the key
///     vireo:sessions:INCARNATION:{TENANT/USER}     the sessions that hold events of a user
///     vireo:bus, vireo:heartbeat:NODE        channels; in a cluster both are sharded and of the slot of `vireo:bus`, the second
///                                            as {vireo:bus}:heartbeat:NODE
package final class RedisNamespace: Sendable {
    package static let busChannel = "vireo:bus"

    package let node: String
    /// Whether the keys are divided among the primaries of a cluster.
    private let isDivided: Bool
    private let incarnation = Mutex("")

    package init(node: String, isDivided: Bool = false) {
        self.node = node
        self.isDivided = isDivided
    }

    package func adopt(incarnation: String) {
        self.incarnation.withLock { $0 = incarnation }
    }

    package var heartbeatChannel: String {
        self.isDivided ? "{\(Self.busChannel)}:heartbeat:\(self.node)" : "vireo:heartbeat:\(self.node)"
    }

    func relayedKey(_ shard: RedisShard) -> [UInt8] { self.key("relayed", shard) }

    func passKey(_ shard: RedisShard) -> [UInt8] { self.key("pass", shard) }

    func heartbeatKey(_ shard: RedisShard) -> [UInt8] { self.key("heartbeat:\(self.node)", shard) }

    private func key(_ name: String, _ shard: RedisShard) -> [UInt8] {
        let suffix = shard.tag.map { ":{\($0)}" } ?? ""
        return self.incarnation.withLock { Array("vireo:\($0):\(name)\(suffix)".utf8) }
    }

    /// - Parameter node: nil: of whichever node left it last.
    func warmKey(of node: String?) -> [UInt8] {
        self.incarnation.withLock { Array("vireo:\($0):warm\(node.map { ":\($0)" } ?? "")".utf8) }
    }

    var warmedKey: [UInt8] { self.incarnation.withLock { Array("vireo:\($0):warmed".utf8) } }

    func sessionKey(_ session: Session.ID, tenant: Tenant.ID) -> [UInt8] {
        Array("vireo:session:".utf8) + self.cacheKey(of: session, tenant: tenant).bytes
    }

    func sessionsKey(of user: User.ID, tenant: Tenant.ID) -> [UInt8] {
        Array("vireo:sessions:".utf8) + self.cacheKey(of: user, tenant: tenant).bytes
    }

    func shownKey(_ user: User.ID, tenant: Tenant.ID) -> [UInt8] {
        Array("vireo:shown:".utf8) + self.cacheKey(of: user, tenant: tenant).bytes
    }

    func rateKey(_ key: String) -> [UInt8] {
        let place = CacheKey(namespace: self.incarnation.withLock { $0 }, owner: "_keys", member: key)
        return Array("vireo:rate:".utf8) + place.bytes
    }

    func hashKey(of user: User.ID, tenant: Tenant.ID) -> [UInt8] {
        Array("vireo:".utf8) + self.cacheKey(of: user, tenant: tenant).bytes
    }

    func cacheKey<Entity>(of id: Identifier<Entity>, tenant: Tenant.ID) -> CacheKey {
        CacheKey(
            namespace: self.incarnation.withLock { $0 },
            owner: tenant.string,
            member: id.string
        )
    }
}
