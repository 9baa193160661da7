import LoadClient
import NIOCore

/// Asks nodes; each call ends with an answer or with why there is none, within the time-out, cancelled or not.
struct NodeClient: Sendable {
    private let eventLoop: any EventLoop
    private let nodes: [NIOLoopBound<NodeConnections>]

    /// - Parameter headers: Of every request, after the `Host`.
    static func open(
        _ addresses: [Address],
        headers: [(name: String, value: String)],
        timeout: Duration,
        clock: RunClock,
        on eventLoop: any EventLoop
    ) async throws -> NodeClient {
        let nodes = try await eventLoop.submit {
            addresses.map { address in
                NIOLoopBound(
                    NodeConnections(address, headers: headers, timeout: timeout, clock: clock, on: eventLoop),
                    eventLoop: eventLoop
                )
            }
        }.get()
        return NodeClient(eventLoop: eventLoop, nodes: nodes)
    }

    func send(
        _ request: OutgoingRequest,
        to node: Int,
        headers: [(name: String, value: String)] = []
    ) async throws -> Exchange {
        let connections = self.nodes[node]
        return try await self.eventLoop.flatSubmit { connections.value.send(request, headers: headers) }.get()
    }

    /// Waits, cancelled or not.
    func pause(_ duration: Duration) async throws {
        try await self.eventLoop.scheduleTask(in: TimeAmount(duration)) {}.futureResult.get()
    }

    func close() async throws {
        try await self.eventLoop.submit { for node in self.nodes { node.value.close() } }.get()
    }
}
