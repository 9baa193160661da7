import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// Lists that belong to no user: `GET /v1/lists/{list}` and `GET /v1/items/{id}/similar`.
struct ListRoutes {
    let useCases: ListUseCases

    /// A name of a place where lists are shown; which there are is the policy's business.
    private enum Surface {}

    var routes: [Route] {
        [
            Route(
                .get,
                "/v1/lists/{list}",
                scope: .read,
                parameters: ["window", "category", "limit", "user_id", "tokens"],
                lists: ["category"],
                answer: self.list
            ),
            Route(
                .get,
                "/v1/items/{item_id}/similar",
                scope: .read,
                parameters: ["limit", "user_id", "surface"],
                answer: self.similar
            ),
        ]
    }

    @Sendable
    private func list(_ call: Call) async throws(Problem) -> Answer {
        guard let kind = ListKind(rawValue: try call.segment(0)) else { throw .notFound }
        var errors = FieldErrors()
        let window = errors.word(call.query["window"], at: "window", allowed: Self.windows) {
            ListWindow(rawValue: $0)
        }
        if call.query["window"] != nil, kind != .trending {
            errors.add(Pointer("window"), "not_supported", allowed: "left out: only trending looks at a window")
        }
        var request = ListRequest(tenant: call.principal.tenant, kind: kind, window: window ?? .day)
        request.categories = errors.list(call.query, "category", maximum: RequestFilters.maximumCategories)
        request.limit = errors.limit(call.query["limit"])
        request.user = call.query["user_id"].flatMap { errors.identifier($0, at: Pointer("user_id")) }
        let tokens = errors.word(call.query["tokens"], at: "tokens", allowed: "none") { $0 == "none" ? false : nil }
        request.isTracked = tokens ?? true
        try errors.check()
        let list = try await mapped { [request] () async throws(ServingError) in try await self.useCases.list(request) }
        // What a node could not verify is nobody's to keep.
        guard request.isPublic, list.degraded.isEmpty else { return Self.answer(list) }
        let tag = "W/\"\(list.tag)\""
        var answer =
            EntityTag.matches(tag, call.headers[values: .ifNoneMatch])
            ? Answer(status: .notModified, body: ByteBuffer()) : Self.answer(list)
        answer.isPublic = true
        answer.headers[.eTag] = tag
        answer.headers[.vary] = "Authorization"
        return answer
    }

    @Sendable
    private func similar(_ call: Call) async throws(Problem) -> Answer {
        let item = try call.segment(0)
        var errors = FieldErrors()
        let itemID: Item.ID? = errors.identifier(item, at: Pointer("item_id"))
        let surface: Identifier<Surface>? = errors.identifier(
            call.query["surface"] ?? "home",
            at: Pointer("surface")
        )
        let user: User.ID? = call.query["user_id"].flatMap { errors.identifier($0, at: Pointer("user_id")) }
        let limit = errors.limit(call.query["limit"])
        try errors.check()
        guard let itemID, let surface else { throw .internalError("an invalid parameter was not noticed") }
        let request = SimilarRequest(
            tenant: call.principal.tenant,
            item: itemID,
            surface: surface.string,
            user: user,
            limit: limit
        )
        return Self.answer(
            try await mapped { () async throws(ServingError) in try await self.useCases.similar(request) }
        )
    }

    private static let windows = ListWindow.allCases.map(\.rawValue).joined(separator: "|")

    private static func answer(_ list: ItemList) -> Answer {
        var headers = HTTPFields()
        headers[.vireoCache] = Tier.computed.rawValue
        headers[.vireoModel] = list.modelVersion
        headers[.vireoPolicy] = list.policyVersion
        if !list.stages.isEmpty { headers[.serverTiming] = RecommendationRoutes.timing(list.stages) }
        return Answer(headers: headers, body: JSONWriter.document(list))
    }
}

/// Entity tags as conditions have them, RFC 9110 section 8.8.3.
enum EntityTag {
    /// Whether the values of `If-None-Match` name a tag, or any. Compared weakly.
    static func matches(_ tag: String, _ values: [String]) -> Bool {
        values.contains { value in
            value.split(separator: ",").contains { part in
                let part = part.trimmingSpaces
                return part == "*" || Self.opaque(part) == Self.opaque(Substring(tag))
            }
        }
    }

    private static func opaque(_ tag: Substring) -> Substring { tag.hasPrefix("W/") ? tag.dropFirst(2) : tag }
}
