import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `{"requests":[{"user_id":"u1","limit":5,"min_version":118}]}`: slates of many users at once.
struct BatchPayload {
    static let maximumUsers = 100
    /// Of all limits together.
    static let maximumItems = 1_000

    let queries: [RecommendationQuery]

    init(_ value: JSONValue, tenant: Tenant.ID) throws(Problem) {
        var reader = try FieldReader(value, fields: ["requests"], document: #"{"requests":[{"user_id":"u1"}]}"#)
        let elements = reader.elements("requests", maximum: Self.maximumUsers, of: "requests")
        try reader.check()
        var queries: [RecommendationQuery] = []
        var errors = FieldErrors()
        for (index, element) in elements.enumerated() {
            do {
                queries.append(try Self.query(element, index: index, tenant: tenant))
            } catch {
                // What cannot be read is refused as it is; what is invalid is gathered.
                guard error.status == .unprocessableContent else { throw error }
                errors.add(error.errors)
            }
        }
        try errors.check()
        guard queries.reduce(0, { $0 + $1.request.limit }) <= Self.maximumItems else {
            let allowed = "limits that sum to at most \(Self.maximumItems)"
            throw .invalid([FieldError(pointer: "#/requests", code: "too_many_items", allowed: allowed)])
        }
        self.queries = queries
    }

    private static func query(
        _ value: JSONValue,
        index: Int,
        tenant: Tenant.ID
    ) throws(Problem) -> RecommendationQuery {
        var base = Pointer("requests")
        base.append(index)
        var reader = try FieldReader(
            value,
            fields: ["user_id", "min_version"] + RecommendationQuery.wholeFields,
            document: "one request object",
            at: base
        )
        let user: User.ID? = reader.identifier("user_id", required: true)
        let minimum = reader.integer("min_version", in: 0...Int64.max, allowed: "a version that a write has returned")
        var query = try RecommendationQuery(&reader, user: user, tenant: tenant)
        query.request.minimumVersion = minimum ?? 0
        return query
    }
}

extension JSONWriter {
    /// The results of a batch in order, each a recommendation or a user with a problem.
    static func document(
        _ results: [Result<Recommendation, ServingError>],
        of queries: [RecommendationQuery]
    ) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeString(#"{"results":["#)
        for (index, (query, result)) in zip(queries, results).enumerated() {
            if index > 0 { body.writeString(",") }
            switch result {
            case .success(let recommendation):
                body.writeImmutableBuffer(JSONWriter.document(recommendation, explain: query.explain))
            case .failure(let error):
                var json = JSONWriter(capacity: 64)
                json.raw(#"{"user_id":"#)
                json.string(query.request.user.string)
                json.raw(#","problem":"#)
                body.writeImmutableBuffer(json.buffer)
                body.writeImmutableBuffer(Problem(error).document(instance: nil, requestID: nil))
                body.writeString("}")
            }
        }
        body.writeString("]}")
        return body
    }
}
