import HTTPTypes
import RecommendationCore
import Serving

/// `/v1/users`: what clients tell of users, and what users do not want.
struct UserRoutes {
    let useCases: CatalogueUseCases

    private static let path = "/v1/users/{user_id}"
    private static let suppression = "/v1/users/{user_id}/suppressions/{kind}/{key}"

    var routes: [Route] {
        [
            Route(.post, "/v1/users/{user_id}:reset", scope: .write, answer: self.reset),
            Route(.get, Self.path, scope: .write, answer: self.user),
            Route(.put, Self.path, scope: .write, takesBody: true, answer: self.put),
            Route(.put, "/v1/users/{user_id}/consent", scope: .write, takesBody: true, answer: self.consent),
            Route(.get, "/v1/users/{user_id}/suppressions", scope: .write, answer: self.suppressions),
            Route(.put, Self.suppression, scope: .write) { call throws(Problem) in
                try await self.change(call, .suppress(try Self.suppression(call)))
            },
            Route(.delete, Self.suppression, scope: .write) { call throws(Problem) in
                try await self.change(call, .unsuppress(try Self.suppression(call)))
            },
        ]
    }

    @Sendable
    private func user(_ call: Call) async throws(Problem) -> Answer {
        let (id, user) = try await self.stored(call)
        return .json(JSONWriter.document(of: id, user))
    }

    @Sendable
    private func suppressions(_ call: Call) async throws(Problem) -> Answer {
        let (id, user) = try await self.stored(call)
        return .json(JSONWriter.suppressions(of: id, user))
    }

    @Sendable
    private func put(_ call: Call) async throws(Problem) -> Answer {
        try await self.change(call, .profile(try UserPayload.profile(try call.json())))
    }

    @Sendable
    private func consent(_ call: Call) async throws(Problem) -> Answer {
        try await self.change(call, .consent(try UserPayload.consent(try call.json())))
    }

    @Sendable
    private func reset(_ call: Call) async throws(Problem) -> Answer {
        try await self.change(call, .reset)
    }

    private func stored(_ call: Call) async throws(Problem) -> (User.ID, StoredUser) {
        let id: User.ID = try call.identifier(0, "user_id")
        let user = try await mapped { () async throws(ServingError) in
            try await self.useCases.user(id, call.principal.tenant)
        }
        guard let user else { throw .notFound }
        return (id, user)
    }

    private func change(_ call: Call, _ change: UserChange) async throws(Problem) -> Answer {
        let id: User.ID = try call.identifier(0, "user_id")
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.changeUser(change, id, call.principal.tenant)
        }
        switch answer {
        case .stored(let version, let propagated):
            return .json(JSONWriter.document(of: id, version: version, propagated: propagated))
        case .unknownUser: throw .notFound
        case .tooManySuppressions:
            throw Problem(
                status: .conflict,
                code: "too_many_suppressions",
                detail: "a user has at most \(Suppression.maximumCount) suppressions"
            )
        }
    }

    private static func suppression(_ call: Call) throws(Problem) -> Suppression {
        var errors = FieldErrors()
        let kind = Suppression.Kind(rawValue: try call.segment(1))
        if kind == nil {
            let allowed = Suppression.Kind.allCases.map(\.rawValue).joined(separator: "|")
            errors.add(Pointer("kind"), "invalid", allowed: allowed)
        }
        let key: Identifier<Suppression>? = errors.identifier(try call.segment(2), at: Pointer("key"))
        try errors.check()
        guard let kind, let key else { throw .internalError("an invalid parameter was not noticed") }
        return Suppression(kind: kind, key: key)
    }
}
