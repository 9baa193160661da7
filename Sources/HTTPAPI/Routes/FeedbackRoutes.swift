import HTTPTypes
import RecommendationCore
import Serving

/// `POST /v1/feedback`: one event.
struct FeedbackRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [Route(.post, "/v1/feedback", scope: .write, takesBody: true, answer: self.record)]
    }

    @Sendable
    private func record(_ call: Call) async throws(Problem) -> Answer {
        let request = try FeedbackPayload.request(try call.json())
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.recordFeedback([request], call.principal.tenant)
        }
        return .json(try FeedbackPayload.document(answer))
    }
}
