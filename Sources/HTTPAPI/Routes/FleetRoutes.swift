import HTTPTypes
import RecommendationCore
import Serving

/// What models there are, and what nodes.
struct FleetRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [
            Route(.get, "/v1/admin/models", scope: .admin, answer: self.models),
            Route(.get, "/v1/admin/nodes", scope: .admin, answer: self.nodes),
        ]
    }

    @Sendable
    private func models(_ call: Call) async throws(Problem) -> Answer {
        let models = try await mapped { () async throws(ServingError) in
            try await self.useCases.models(call.principal.tenant)
        }
        return .json(JSONWriter.document(models))
    }

    @Sendable
    private func nodes(_ call: Call) async throws(Problem) -> Answer {
        guard call.isFleet else { throw .fleetOnly("the list of nodes") }
        let nodes = try await mapped { () async throws(ServingError) in try await self.useCases.nodes() }
        return .json(JSONWriter.document(nodes))
    }
}
