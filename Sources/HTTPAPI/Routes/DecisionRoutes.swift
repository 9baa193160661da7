import HTTPTypes
import RecommendationCore
import Serving

/// `GET /v1/decisions/{recommendation_id}`: what a recommendation was made of, and what that gives when it is made again.
struct DecisionRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [Route(.get, "/v1/decisions/{recommendation_id}", scope: .read, answer: self.decision)]
    }

    @Sendable
    private func decision(_ call: Call) async throws(Problem) -> Answer {
        guard let id = RecommendationID(try call.segment(0)) else {
            throw .invalid([
                FieldError(
                    pointer: "#/recommendation_id",
                    code: "invalid",
                    allowed: "the recommendation_id of an answer, \(RecommendationID.length) characters"
                )
            ])
        }
        let decision = try await mapped { () async throws(ServingError) in
            try await self.useCases.decision(id, call.principal.tenant)
        }
        guard let decision else { throw .notFound }
        return .json(JSONWriter.document(decision))
    }
}
