import Caching
import RecommendationCore
import Serving
import Synchronization

/// Asks the other nodes, at the addresses they are registered with, under a seal of the fleet.
final class FleetClient: FleetPeers {
    private enum Failure: Error {
        case unknownNode
        /// Of an address that is none, or of `https`, which nodes do not speak.
        case noAddress
    }

    /// How long an answer is waited for.
    private static let limit = Duration.milliseconds(500)
    /// How long the list of nodes is good.
    private static let listLifetime = Duration.seconds(2)

    private struct List {
        let addresses: [String: String]
        let readAt: ContinuousClock.Instant
    }

    private let nodes: any NodeRepository
    private let seal: NodeSeal
    private let list = Mutex<List?>(nil)

    init(nodes: any NodeRepository, seal: NodeSeal) {
        self.nodes = nodes
        self.seal = seal
    }

    func names() async throws -> [String] {
        let now = ContinuousClock.now
        if let list = self.list.withLock({ $0 }), now - list.readAt < Self.listLifetime {
            return Array(list.addresses.keys)
        }
        let addresses = Dictionary(try await self.nodes.nodes().map { ($0.id, $0.adminURL) }) { first, _ in first }
        self.list.withLock { $0 = List(addresses: addresses, readAt: now) }
        return Array(addresses.keys)
    }

    func ask(_ node: String, _ questions: [SelfCheckQuestion]) async throws -> [HeldAnswer] {
        guard let url = self.list.withLock({ $0?.addresses[node] }) else { throw Failure.unknownNode }
        guard let (host, port) = AdminEndpoint.parse(url) else { throw Failure.noAddress }
        let body = try SelfCheckDocuments.encode(questions)
        let client = AdminClient(AdminEndpoint(host: host, port: port, key: nil), limit: Self.limit)
        let answer = try await client.call(
            "POST",
            "/v1/admin/self-check/questions",
            body: body,
            authorization: "Vireo-Node \(self.seal.seal(body, to: node))"
        )
        return try SelfCheckDocuments.answers(answer)
    }
}
