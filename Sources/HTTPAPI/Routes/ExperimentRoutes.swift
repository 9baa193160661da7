import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `/v1/admin/experiments`: users of a surface in parts, and which part does best.
struct ExperimentRoutes {
    let useCases: ExperimentUseCases
    let waiting: Waiting

    private static let list = "/v1/admin/experiments"
    private static let one = "/v1/admin/experiments/{experiment_id}"
    /// Counting weeks may take seconds.
    private static let allowance = Allowance(body: 0, time: .seconds(20))

    var routes: [Route] {
        [
            Route(.get, Self.list, scope: .admin, answer: self.experiments),
            Route(
                .post,
                Self.list,
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                answer: self.start
            ),
            Route(.get, Self.one, scope: .admin, answer: self.experiment),
            Route(
                .put,
                Self.one + "/variants",
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                answer: self.setVariants
            ),
            Route(.post, Self.one + ":stop", scope: .admin, parameters: [Waiting.parameter], answer: self.stop),
            Route(
                .get,
                Self.one + "/results",
                scope: .admin,
                allowance: Self.allowance,
                isBulk: true,
                answer: self.results
            ),
        ]
    }

    @Sendable
    private func experiments(_ call: Call) async throws(Problem) -> Answer {
        let experiments = try await mapped { () async throws(ServingError) in
            try await self.useCases.experiments(call.principal.tenant)
        }
        return .json(JSONWriter.document(experiments))
    }

    @Sendable
    private func start(_ call: Call) async throws(Problem) -> Answer {
        let waits = try Waiting.isAsked(call)
        let order = try ExperimentPayload(try call.json()).order
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.start(order, call.principal.tenant)
        }
        let isComplete = await self.waiting.isComplete(change.announcement, isAsked: waits)
        let body = JSONWriter.document(change, isComplete: isComplete)
        return Answer(status: isComplete == false ? .accepted : .created, body: body)
    }

    @Sendable
    private func experiment(_ call: Call) async throws(Problem) -> Answer {
        let id = try Self.id(call)
        let experiment = try await mapped { () async throws(ServingError) in
            try await self.useCases.experiment(id, call.principal.tenant)
        }
        guard let experiment else { throw .notFound }
        return .json(JSONWriter.document(experiment))
    }

    @Sendable
    private func setVariants(_ call: Call) async throws(Problem) -> Answer {
        let id = try Self.id(call)
        let waits = try Waiting.isAsked(call)
        let variants = try VariantsPayload(try call.json()).variants
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.setVariants(variants, id, call.principal.tenant)
        }
        return try await self.answer(change, waits: waits)
    }

    @Sendable
    private func stop(_ call: Call) async throws(Problem) -> Answer {
        let id = try Self.id(call)
        let waits = try Waiting.isAsked(call)
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.stop(id, call.principal.tenant)
        }
        return try await self.answer(change, waits: waits)
    }

    @Sendable
    private func results(_ call: Call) async throws(Problem) -> Answer {
        let id = try Self.id(call)
        let results = try await mapped { () async throws(ServingError) in
            try await self.useCases.results(id, call.principal.tenant)
        }
        guard let results else { throw .notFound }
        return .json(JSONWriter.document(results))
    }

    private func answer(_ change: ExperimentChange?, waits: Bool) async throws(Problem) -> Answer {
        guard let change else { throw .notFound }
        let isComplete = await self.waiting.isComplete(change.announcement, isAsked: waits)
        return .change(JSONWriter.document(change, isComplete: isComplete), isComplete: isComplete)
    }

    private static func id(_ call: Call) throws(Problem) -> String {
        let id = try call.segment(0)
        guard ExperimentPayload.isName(id) else {
            throw .invalid([
                FieldError(pointer: "#/experiment_id", code: "invalid", allowed: ExperimentPayload.allowedNames)
            ])
        }
        return id
    }
}
