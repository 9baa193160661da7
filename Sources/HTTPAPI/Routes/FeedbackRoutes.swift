import HTTPTypes
import RecommendationCore
import Serving

/// `POST /v1/feedback`: one event, and `POST /v1/feedback:batch`: many.
struct FeedbackRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [
            Route(.post, "/v1/feedback", scope: .write, takesBody: true, answer: self.record),
            Route(
                .post,
                "/v1/feedback:batch",
                scope: .write,
                bodyTypes: [.json, .lines],
                isBulk: true,
                answer: self.recordBatch
            ),
        ]
    }

    @Sendable
    private func record(_ call: Call) async throws(Problem) -> Answer {
        let request = try FeedbackPayload.request(try call.json())
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.recordFeedback([request], call.principal.tenant)
        }
        return .json(try FeedbackPayload.document(answer))
    }

    @Sendable
    private func recordBatch(_ call: Call) async throws(Problem) -> Answer {
        let batch = try FeedbackBatch(call.body, as: call.bodyType ?? .json)
        guard !batch.requests.isEmpty else { return .json(batch.document(nil)) }
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.recordFeedback(batch.requests, call.principal.tenant)
        }
        return .json(batch.document(answer))
    }
}
