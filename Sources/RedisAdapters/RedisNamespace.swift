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
///     vireo:session:INCARNATION:{TENANT/SESSION}   the newest events of a session (the parts encoded as in a CacheKey)
///     vireo:shown:INCARNATION:{TENANT/USER}  what is shown to a user, for frequency caps (likewise)
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

    func warmKey(ofNode: Bool) -> [UInt8] {
        self.incarnation.withLock { Array("vireo:\($0):warm\(ofNode ? ":\(self.node)" : "")".utf8) }
    }

    func sessionKey(_ session: Session.ID, tenant: Tenant.ID) -> [UInt8] {
        self.key("session", tenant, session.string)
    }

    func shownKey(_ user: User.ID, tenant: Tenant.ID) -> [UInt8] { self.key("shown", tenant, user.string) }

    private func key(_ kind: String, _ tenant: Tenant.ID, _ member: String) -> [UInt8] {
        let incarnation = self.incarnation.withLock { $0 }
        let key = CacheKey(namespace: incarnation, owner: tenant.string, member: member)
        return Array("vireo:\(kind):".utf8) + key.bytes
    }
}
