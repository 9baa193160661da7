import HTTPTypes
import RecommendationCore
import Serving

/// `POST /v1/impressions`: what was really shown.
struct ImpressionRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [Route(.post, "/v1/impressions", scope: .write, takesBody: true, answer: self.record)]
    }

    @Sendable
    private func record(_ call: Call) async throws(Problem) -> Answer {
        let payload = try ImpressionPayload(try call.json())
        guard !payload.request.items.isEmpty else { return .json(payload.document(ImpressionAnswer())) }
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.recordImpressions(payload.request, call.principal.tenant)
        }
        return .json(payload.document(answer))
    }
}
