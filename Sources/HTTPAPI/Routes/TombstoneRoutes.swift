import HTTPTypes
import RecommendationCore
import Serving

/// `/v1/admin/tombstones`: deny entries of the key's tenant.
struct TombstoneRoutes {
    let useCases: UseCases
    let wallClock: @Sendable () -> Timestamp

    private static let path = "/v1/admin/tombstones"
    /// A hundred thousand of the longest ids.
    private static let allowance = Allowance(body: 16 << 20, time: .seconds(10))

    var routes: [Route] {
        [
            Route(.get, Self.path, scope: .admin, parameters: ["kind", "cursor", "limit"], answer: self.list),
            Route(
                .post,
                Self.path,
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                allowance: Self.allowance,
                answer: self.add
            ),
            Route(
                .delete,
                Self.path,
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                allowance: Self.allowance,
                answer: self.remove
            ),
        ]
    }

    @Sendable
    private func list(_ call: Call) async throws(Problem) -> Answer {
        var errors = FieldErrors()
        let limit = errors.integer(call.query["limit"], at: Pointer("limit"), in: 1...1_000, default: 100)
        var kind: Tombstone.Kind?
        if let text = call.query["kind"] {
            kind = Tombstone.Kind(rawValue: text)
            if kind == nil {
                let allowed = Tombstone.Kind.allCases.map(\.rawValue).joined(separator: "|")
                errors.add(Pointer("kind"), "invalid", allowed: allowed)
            }
        }
        try errors.check()
        let page = try await mapped { () async throws(ServingError) in
            try await self.useCases.listTombstones(kind, call.query["cursor"], limit, call.principal.tenant)
        }
        guard let page else { throw .invalidCursor }
        return .json(JSONWriter.document(page))
    }

    @Sendable
    private func add(_ call: Call) async throws(Problem) -> Answer {
        let waits = try Waiting.isAsked(call)
        let payload = try TombstonePayload(try call.json(), expiresAfter: self.wallClock())
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.addTombstones(
                payload.tombstones,
                payload.reason,
                payload.expiresAt,
                call.principal.tenant
            )
        }
        return await self.answer(answer, changed: #","added":"#, unchanged: #","already":"#, waits: waits)
    }

    @Sendable
    private func remove(_ call: Call) async throws(Problem) -> Answer {
        let waits = try Waiting.isAsked(call)
        let payload = try TombstonePayload(try call.json(), expiresAfter: nil)
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.removeTombstones(payload.tombstones, call.principal.tenant)
        }
        return await self.answer(answer, changed: #","removed":"#, unchanged: #","absent":"#, waits: waits)
    }

    private func answer(
        _ answer: TombstoneAnswer,
        changed: StaticString,
        unchanged: StaticString,
        waits: Bool
    ) async -> Answer {
        let waiting = Waiting(everywhere: self.useCases.everywhere)
        let isComplete = await waiting.isComplete(answer.announcement, isAsked: waits)
        let body = JSONWriter.document(answer, changed: changed, unchanged: unchanged, isComplete: isComplete)
        return .change(body, isComplete: isComplete)
    }
}
