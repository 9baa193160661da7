import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `GET /v1/recommendations/{user_id}`.
struct RecommendationRoutes {
    /// The path of a user's own list.
    static let personal = "/v1/recommendations/{user_id}"

    let useCases: UseCases

    var routes: [Route] {
        [
            Route(
                .get,
                Self.personal,
                scope: .read,
                parameters: ["surface", "limit", "explain"],
                answer: self.recommend
            )
        ]
    }

    @Sendable
    private func recommend(_ call: Call) async throws(Problem) -> Answer {
        let user = try call.segment(0)
        var errors = FieldErrors()
        let userID: User.ID? = errors.identifier(user, at: Pointer("user_id"))
        let surface: Identifier<Surface>? = errors.identifier(call.query["surface"] ?? "home", at: Pointer("surface"))
        let limit = errors.integer(call.query["limit"], at: Pointer("limit"), in: 1...100, default: 10)
        let explain = Explanation(rawValue: call.query["explain"] ?? Explanation.reason.rawValue)
        if explain == nil {
            let allowed = Explanation.allCases.map(\.rawValue).joined(separator: "|")
            errors.add(Pointer("explain"), "invalid", allowed: allowed)
        }
        try errors.check()
        guard let userID, let surface, let explain else { throw .internalError("an invalid parameter was not noticed") }
        let request = RecommendationRequest(
            tenant: call.principal.tenant,
            user: userID,
            surface: surface.string,
            limit: limit
        )
        let recommendation = try await mapped { () async throws(ServingError) in
            try await self.useCases.recommend(request)
        }
        return Answer(
            headers: Self.headers(recommendation),
            body: JSONWriter.document(recommendation, explain: explain)
        )
    }

    /// A name of a place where lists are shown; which there are is the policy's business.
    private enum Surface {}

    private static func headers(_ recommendation: Recommendation) -> HTTPFields {
        var headers = HTTPFields()
        headers.reserveCapacity(12)
        headers.append(Self.tiers[recommendation.tier]!)
        headers.append(HTTPField(name: .age, value: String(max(0, recommendation.ageMilliseconds) / 1_000)))
        headers.append(HTTPField(name: .vireoModel, value: recommendation.modelVersion))
        headers.append(HTTPField(name: .vireoPolicy, value: recommendation.policyVersion))
        if !recommendation.stages.isEmpty {
            headers.append(HTTPField(name: .serverTiming, value: Self.timing(recommendation.stages)))
        }
        return headers
    }

    private static let tiers: [Tier: HTTPField] = Dictionary(
        uniqueKeysWithValues: Tier.allCases.map { ($0, HTTPField(name: .vireoCache, value: $0.rawValue)) }
    )

    /// `cache;dur=0.12, final;dur=0.3`, in milliseconds.
    static func timing(_ stages: [Recommendation.Stage]) -> String {
        var text = ByteWriter(capacity: 128)
        text.timing(stages)
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

extension HTTPField.Name {
    static let vireoCache = Self("X-Vireo-Cache")!
    static let vireoModel = Self("X-Vireo-Model")!
    static let vireoPolicy = Self("X-Vireo-Policy")!
    static let serverTiming = Self("Server-Timing")!
    static let requestID = Self("X-Request-ID")!
}
