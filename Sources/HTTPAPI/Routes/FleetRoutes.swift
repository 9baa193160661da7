import HTTPTypes
import RecommendationCore
import Serving

/// What nodes there are.
struct FleetRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [
            Route(.get, "/v1/admin/nodes", scope: .admin, answer: self.nodes)
        ]
    }

    @Sendable
    private func nodes(_ call: Call) async throws(Problem) -> Answer {
        guard call.isFleet else { throw .fleetOnly("the list of nodes") }
        let nodes = try await mapped { () async throws(ServingError) in try await self.useCases.nodes() }
        return .json(JSONWriter.document(nodes))
    }
}
