import Synchronization

/// The schema of keys and channels. The incarnation of the data is part of every key, and may change while a node runs.
///
///     vireo:INCARNATION:{TENANT/USER}        floor, lease and entries of a user (a CacheKey after the prefix)
///     vireo:INCARNATION:relayed              how far the relay has brought the journal
///     vireo:INCARNATION:heartbeat:NODE       the last heartbeat of a node
///     vireo:INCARNATION:warm:NODE            what the node was asked for most; vireo:INCARNATION:warm: the last node's
///     vireo:bus, vireo:heartbeat:NODE        channels
package final class RedisNamespace: Sendable {
    package static let busChannel = "vireo:bus"

    package let node: String
    private let incarnation = Mutex("")

    package init(node: String) {
        self.node = node
    }

    package func adopt(incarnation: String) {
        self.incarnation.withLock { $0 = incarnation }
    }

    package var heartbeatChannel: String { "vireo:heartbeat:\(self.node)" }

    var relayedKey: [UInt8] { self.incarnation.withLock { Array("vireo:\($0):relayed".utf8) } }

    func warmKey(ofNode: Bool) -> [UInt8] {
        self.incarnation.withLock { Array("vireo:\($0):warm\(ofNode ? ":\(self.node)" : "")".utf8) }
    }

    var heartbeatKey: [UInt8] { self.incarnation.withLock { Array("vireo:\($0):heartbeat:\(self.node)".utf8) } }
}
