import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `/v1/admin/models`: the registry of the key's tenant, what serves, and what is to be trained.
struct ModelRoutes {
    let useCases: ModelUseCases
    let waiting: Waiting

    private static let list = "/v1/admin/models"
    private static let one = "/v1/admin/models/{version}"
    /// Until every node has loaded a version.
    private static let allowance = Allowance(body: 0, time: .seconds(15))

    var routes: [Route] {
        [
            Route(.get, Self.list, scope: .admin, answer: self.versions),
            Route(.post, Self.list + ":train", scope: .admin, takesBody: true, mayOmitBody: true, answer: self.train),
            Route(
                .post,
                Self.one + ":activate",
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                mayOmitBody: true,
                allowance: Self.allowance,
                answer: self.activate
            ),
            Route(
                .post,
                Self.one + ":rollback",
                scope: .admin,
                parameters: [Waiting.parameter],
                answer: self.rollback
            ),
            Route(.post, Self.one + ":retire", scope: .admin, parameters: [Waiting.parameter], answer: self.retire),
            Route(.post, Self.one + ":warm", scope: .admin, allowance: Self.allowance, answer: self.warm),
            Route(.get, Self.one, scope: .admin, answer: self.version),
        ]
    }

    @Sendable
    private func versions(_ call: Call) async throws(Problem) -> Answer {
        let (versions, standing) = try await mapped { () async throws(ServingError) in
            try await self.useCases.list(call.principal.tenant)
        }
        return .json(JSONWriter.document(versions, standing))
    }

    @Sendable
    private func version(_ call: Call) async throws(Problem) -> Answer {
        let number = try Self.number(call)
        let (versions, standing) = try await mapped { () async throws(ServingError) in
            try await self.useCases.list(call.principal.tenant)
        }
        guard let version = versions.first(where: { $0.number == number }) else { throw .notFound }
        return .json(JSONWriter.document(version, standing))
    }

    @Sendable
    private func train(_ call: Call) async throws(Problem) -> Answer {
        let payload = try TrainingPayload(try call.json(), recipes: self.useCases.recipes)
        let job = try await mapped { () async throws(ServingError) in
            try await self.useCases.train(payload.order, call.principal.tenant)
        }
        return .taken(ModelJob.name(job))
    }

    @Sendable
    private func activate(_ call: Call) async throws(Problem) -> Answer {
        let number = try Self.number(call)
        let waits = try Waiting.isAsked(call)
        let payload = try ModelActivationPayload(try call.json())
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.activate(number, payload.activation, call.principal.tenant)
        }
        guard let change else { throw .notFound }
        return await self.answer(change, waits: waits)
    }

    @Sendable
    private func rollback(_ call: Call) async throws(Problem) -> Answer {
        let number = try Self.number(call)
        let waits = try Waiting.isAsked(call)
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.rollback(number, call.principal.tenant)
        }
        guard let change else { throw .notFound }
        return await self.answer(change, waits: waits)
    }

    @Sendable
    private func retire(_ call: Call) async throws(Problem) -> Answer {
        let number = try Self.number(call)
        let waits = try Waiting.isAsked(call)
        let announcement = try await mapped { () async throws(ServingError) in
            try await self.useCases.retire(number, call.principal.tenant)
        }
        guard let announcement else { throw .notFound }
        let isComplete = await self.waiting.isComplete(announcement, isAsked: waits)
        var json = JSONWriter(capacity: 96)
        json.raw(#"{"version":"#)
        json.string(ModelVersion.name(number))
        json.raw(#","state":"retired","epoch":"#)
        json.integer(announcement.epoch ?? 0)
        json.announced(announcement, isComplete: isComplete)
        return .change(json.buffer, isComplete: isComplete)
    }

    @Sendable
    private func warm(_ call: Call) async throws(Problem) -> Answer {
        let number = try Self.number(call)
        let spread = try await mapped { () async throws(ServingError) in
            try await self.useCases.warm(number, call.principal.tenant)
        }
        guard let spread else { throw .notFound }
        var json = JSONWriter(capacity: 64)
        json.raw(#"{"version":"#)
        json.string(ModelVersion.name(number))
        json.raw(#","loaded":"#)
        json.integer(spread.loaded)
        json.raw(#","nodes":"#)
        json.integer(spread.nodes)
        json.raw("}")
        // As a change that was to be everywhere and is not yet.
        return Answer(status: spread.loaded < spread.nodes ? .accepted : .ok, body: json.buffer)
    }

    private func answer(_ change: ModelChange, waits: Bool) async -> Answer {
        var isComplete: Bool?
        if let announcement = change.announcement {
            isComplete = await self.waiting.isComplete(announcement, isAsked: waits)
        }
        return .change(JSONWriter.document(change, isComplete: isComplete), isComplete: isComplete)
    }

    private static func number(_ call: Call) throws(Problem) -> ModelVersion.Number {
        guard let number = ModelVersion.number(try call.segment(0)) else {
            throw .invalid([
                FieldError(pointer: "#/version", code: "invalid", allowed: "m and a number, for example m42")
            ])
        }
        return number
    }
}
