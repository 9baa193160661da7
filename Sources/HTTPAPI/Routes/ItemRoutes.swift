import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `/v1/items`: the catalogue of the key's tenant, item by item.
struct ItemRoutes {
    let useCases: CatalogueUseCases
    let waiting: Waiting

    private static let path = "/v1/items/{item_id}"

    var routes: [Route] {
        [
            Route(.get, "/v1/items", scope: .write, parameters: ["cursor", "limit"], answer: self.list),
            Route(.get, Self.path, scope: .write, answer: self.item),
            Route(
                .put,
                Self.path,
                scope: .write,
                parameters: [Waiting.parameter],
                takesBody: true,
                answer: self.put
            ),
            Route(
                .patch,
                Self.path,
                scope: .write,
                parameters: [Waiting.parameter],
                bodyTypes: [.json, .mergePatch],
                answer: self.patch
            ),
            Route(.delete, Self.path, scope: .write, parameters: [Waiting.parameter], answer: self.delete),
        ]
    }

    @Sendable
    private func list(_ call: Call) async throws(Problem) -> Answer {
        var errors = FieldErrors()
        let limit = errors.integer(call.query["limit"], at: Pointer("limit"), in: 1...1_000, default: 100)
        try errors.check()
        let page = try await mapped { () async throws(ServingError) in
            try await self.useCases.items(call.query["cursor"], limit, call.principal.tenant)
        }
        guard let page else { throw .invalidCursor }
        return .json(JSONWriter.document(page))
    }

    @Sendable
    private func item(_ call: Call) async throws(Problem) -> Answer {
        let id: Item.ID = try call.identifier(0, "item_id")
        let item = try await mapped { () async throws(ServingError) in
            try await self.useCases.item(id, call.principal.tenant)
        }
        guard let item else { throw .notFound }
        var answer = Answer(headers: [:], body: JSONWriter.document(item))
        answer.headers.append(Conditions.tag(item.revision))
        if try Conditions.isCurrent(item.revision, call.headers) {
            answer.status = .notModified
            answer.body = ByteBuffer()
        }
        return answer
    }

    @Sendable
    private func put(_ call: Call) async throws(Problem) -> Answer {
        let id: Item.ID = try call.identifier(0, "item_id")
        let condition = try Conditions.ofWrite(call.headers)
        let waits = try Waiting.isAsked(call)
        let item = try ItemPayload.item(id, try call.json())
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.putItem(item, condition, call.principal.tenant)
        }
        return try await self.answer(answer, id, waits: waits)
    }

    @Sendable
    private func patch(_ call: Call) async throws(Problem) -> Answer {
        let id: Item.ID = try call.identifier(0, "item_id")
        let condition = try Conditions.ofWrite(call.headers)
        let waits = try Waiting.isAsked(call)
        let patch = try ItemPayload.patch(try call.json())
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.patchItem(id, patch, condition, call.principal.tenant)
        }
        return try await self.answer(answer, id, waits: waits)
    }

    @Sendable
    private func delete(_ call: Call) async throws(Problem) -> Answer {
        let id: Item.ID = try call.identifier(0, "item_id")
        let condition = try Conditions.ofWrite(call.headers)
        let waits = try Waiting.isAsked(call)
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.deleteItem(id, condition, call.principal.tenant)
        }
        switch answer {
        case .deleted(let epoch, let announcement):
            let isComplete = await self.waiting.isComplete(announcement, isAsked: waits)
            let body = JSONWriter.deletion(of: id, epoch: epoch, announcement, isComplete: isComplete)
            return .change(body, isComplete: isComplete)
        case .conditionFailed: throw Self.conditionFailed
        case .unknown: throw .notFound
        }
    }

    private func answer(_ answer: ItemAnswer, _ id: Item.ID, waits: Bool) async throws(Problem) -> Answer {
        switch answer {
        case .stored(let revision, let created, let announcement):
            let isComplete = await self.waiting.isComplete(announcement, isAsked: waits)
            let body = JSONWriter.document(
                of: id,
                revision: revision,
                created: created,
                announcement,
                isComplete: isComplete
            )
            var answer = Answer.change(body, isComplete: isComplete)
            answer.headers.append(Conditions.tag(revision))
            return answer
        case .conditionFailed: throw Self.conditionFailed
        case .unknown: throw .notFound
        case .invalid(let violations): throw .invalid(violations.map(ItemPayload.error))
        }
    }

    private static var conditionFailed: Problem {
        .preconditionFailed("the item is not at the revision that the request names")
    }
}
