import HTTPTypes
import RecommendationCore
import Serving

/// `POST /v1/sessions:recommend`.
struct SessionRoutes {
    let useCases: ListUseCases
    let wallClock: @Sendable () -> Timestamp

    var routes: [Route] {
        [Route(.post, "/v1/sessions:recommend", scope: .read, takesBody: true, answer: self.recommend)]
    }

    @Sendable
    private func recommend(_ call: Call) async throws(Problem) -> Answer {
        let payload = try SessionPayload(
            try call.json(),
            tenant: call.principal.tenant,
            minimumVersion: try RecommendationRoutes.minimumVersion(call.headers),
            now: self.wallClock()
        )
        let recommendation = try await mapped { () async throws(ServingError) in
            try await self.useCases.session(payload.request)
        }
        return RecommendationRoutes.answer(recommendation, explain: payload.explain)
    }
}
