import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `/v1/admin/policies`: how the key's tenant scores and chooses, version by version.
struct PolicyRoutes {
    let useCases: PolicyUseCases
    let waiting: Waiting

    private static let list = "/v1/admin/policies"
    private static let one = "/v1/admin/policies/{version}"
    /// Until the lists of a sample of users are computed twice.
    private static let allowance = Allowance(body: 0, time: .seconds(15))

    var routes: [Route] {
        [
            Route(.get, Self.list, scope: .admin, answer: self.versions),
            Route(
                .post,
                Self.one + ":activate",
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                mayOmitBody: true,
                answer: self.activate
            ),
            Route(
                .post,
                Self.one + ":rollback",
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                mayOmitBody: true,
                answer: self.rollback
            ),
            Route(
                .post,
                Self.one + ":dry_run",
                scope: .admin,
                takesBody: true,
                mayOmitBody: true,
                allowance: Self.allowance,
                isBulk: true,
                answer: self.dryRun
            ),
            Route(.get, Self.one, scope: .admin, answer: self.policy),
            Route(.put, Self.one, scope: .admin, takesBody: true, answer: self.put),
        ]
    }

    @Sendable
    private func versions(_ call: Call) async throws(Problem) -> Answer {
        let (versions, standing) = try await mapped { () async throws(ServingError) in
            try await self.useCases.versions(call.principal.tenant)
        }
        var answer = Answer.json(JSONWriter.document(versions, standing))
        answer.headers.append(Conditions.tag(standing.epoch))
        return answer
    }

    @Sendable
    private func policy(_ call: Call) async throws(Problem) -> Answer {
        let version = try Self.version(call)
        let policy = try await mapped { () async throws(ServingError) in
            try await self.useCases.policy(version, call.principal.tenant)
        }
        guard let policy else { throw .notFound }
        return .json(JSONWriter.document(policy))
    }

    @Sendable
    private func put(_ call: Call) async throws(Problem) -> Answer {
        let version = try Self.version(call)
        let policy = try PolicyDocument.read(try call.json(), version: version)
        let isNew = try await mapped { () async throws(ServingError) in
            try await self.useCases.put(policy, call.principal.tenant)
        }
        var json = JSONWriter(capacity: 64)
        json.raw(#"{"version":"#)
        json.string(version)
        json.raw(#","created":"#)
        json.bool(isNew)
        json.raw("}")
        return .json(json.buffer)
    }

    @Sendable
    private func activate(_ call: Call) async throws(Problem) -> Answer {
        let version = try Self.version(call)
        let waits = try Waiting.isAsked(call)
        let payload = try ActivationPayload(try call.json(), expected: try Self.expected(call))
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.activate(version, payload.activation, call.principal.tenant)
        }
        guard let change else { throw .notFound }
        return await self.answer(change, waits: waits)
    }

    @Sendable
    private func rollback(_ call: Call) async throws(Problem) -> Answer {
        let version = try Self.version(call)
        let waits = try Waiting.isAsked(call)
        let payload = try RollbackPayload(try call.json(), expected: try Self.expected(call))
        let change = try await mapped { () async throws(ServingError) in
            try await self.useCases.rollback(version, payload.activation, call.principal.tenant)
        }
        return await self.answer(change, waits: waits)
    }

    @Sendable
    private func dryRun(_ call: Call) async throws(Problem) -> Answer {
        let version = try Self.version(call)
        let payload = try PolicyTrialPayload(try call.json())
        let comparison = try await mapped { () async throws(ServingError) in
            try await self.useCases.dryRun(version, payload.trial, call.principal.tenant)
        }
        guard let comparison else { throw .notFound }
        return .json(JSONWriter.document(comparison))
    }

    /// The standings that `If-Match` names by the entity tags of the list of versions; nil: any.
    private static func expected(_ call: Call) throws(Problem) -> [Int64]? {
        switch try Conditions.ofWrite(call.headers) {
        case .none, .present: nil
        // There is always a standing.
        case .absent: []
        case .revision(let epochs): epochs
        }
    }

    private func answer(_ change: PolicyChange, waits: Bool) async -> Answer {
        var isComplete: Bool?
        if case .done(_, let announcement) = change {
            isComplete = await self.waiting.isComplete(announcement, isAsked: waits)
        }
        return .change(JSONWriter.document(change, isComplete: isComplete), isComplete: isComplete)
    }

    private static func version(_ call: Call) throws(Problem) -> String {
        let version = try call.segment(0)
        guard PlainName.isValid(version) else {
            throw .invalid([FieldError(pointer: "#/version", code: "invalid", allowed: PlainName.allowed)])
        }
        return version
    }
}
