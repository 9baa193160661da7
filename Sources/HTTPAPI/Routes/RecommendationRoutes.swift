import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `GET` and `POST /v1/recommendations/{user_id}`, `GET …/explain/{item_id}`, and `POST /v1/recommendations:batch`.
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
                parameters: RecommendationQuery.fields,
                lists: RecommendationQuery.lists,
                answer: self.recommend
            ),
            Route(.post, Self.personal, scope: .read, takesBody: true, answer: self.recommendByBody),
            Route(
                .get,
                "\(Self.personal)/explain/{item_id}",
                scope: .read,
                parameters: RecommendationQuery.explainedFields,
                lists: RecommendationQuery.lists,
                answer: self.explain
            ),
            Route(
                .post,
                "/v1/recommendations:batch",
                scope: .read,
                takesBody: true,
                isBulk: true,
                answer: self.recommendMany
            ),
        ]
    }

    @Sendable
    private func recommend(_ call: Call) async throws(Problem) -> Answer {
        var errors = FieldErrors()
        let user: User.ID? = errors.identifier(try call.segment(0), at: Pointer("user_id"))
        var query = try RecommendationQuery(call.query, user: user, tenant: call.principal.tenant, &errors)
        query.request.minimumVersion = try Self.minimumVersion(call.headers)
        return try await self.answer(query)
    }

    @Sendable
    private func explain(_ call: Call) async throws(Problem) -> Answer {
        var errors = FieldErrors()
        let user: User.ID? = errors.identifier(try call.segment(0), at: Pointer("user_id"))
        let item: Item.ID? = errors.identifier(try call.segment(1), at: Pointer("item_id"))
        var query = try RecommendationQuery(call.query, user: user, tenant: call.principal.tenant, &errors)
        query.request.minimumVersion = try Self.minimumVersion(call.headers)
        guard let item else { throw .internalError("an invalid parameter was not noticed") }
        let request = query.request
        let explanation = try await mapped { () async throws(ServingError) in
            try await self.useCases.lists.explain(item, request)
        }
        return .json(JSONWriter.document(explanation))
    }

    @Sendable
    private func recommendByBody(_ call: Call) async throws(Problem) -> Answer {
        var errors = FieldErrors()
        let user: User.ID? = errors.identifier(try call.segment(0), at: Pointer("user_id"))
        try errors.check()
        var reader = try FieldReader(
            try call.json(),
            fields: RecommendationQuery.fields,
            document: "one object of filters"
        )
        var query = try RecommendationQuery(&reader, user: user, tenant: call.principal.tenant)
        query.request.minimumVersion = try Self.minimumVersion(call.headers)
        return try await self.answer(query)
    }

    /// What the caller wants to be part of the answer, whichever node gives it: the version that a write returned. 0: nothing.
    static func minimumVersion(_ headers: HTTPFields) throws(Problem) -> User.Version {
        let values = headers[values: .minVersion]
        guard let text = values.first else { return 0 }
        // Digits alone: `Int64` would take a sign, too.
        guard values.count == 1, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let version = Int64(text) else {
            throw .malformed("malformed_header", "X-Min-Version is one user_version, as a write has returned it")
        }
        return version
    }

    private func answer(_ query: RecommendationQuery) async throws(Problem) -> Answer {
        let recommendation = try await mapped { () async throws(ServingError) in
            try await self.useCases.recommend(query.request)
        }
        return Self.answer(recommendation, explain: query.explain)
    }

    static func answer(_ recommendation: Recommendation, explain: Explanation) -> Answer {
        Answer(headers: Self.headers(recommendation), body: JSONWriter.document(recommendation, explain: explain))
    }

    @Sendable
    private func recommendMany(_ call: Call) async throws(Problem) -> Answer {
        let queries = try BatchPayload(try call.json(), tenant: call.principal.tenant).queries
        let results = try await mapped { () async throws(ServingError) in
            try await self.useCases.lists.recommendMany(queries.map(\.request), call.principal.tenant)
        }
        return .json(JSONWriter.document(results, of: queries))
    }

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
    static let minVersion = Self("X-Min-Version")!
    static let deadline = Self("X-Deadline-Ms")!
}
