import HTTPTypes
import RecommendationCore
import Serving

/// `POST /v1/admin/purge`: what was computed before is served no more.
struct PurgeRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [
            Route(
                .post,
                "/v1/admin/purge",
                scope: .admin,
                parameters: [Waiting.parameter],
                takesBody: true,
                answer: self.purge
            )
        ]
    }

    @Sendable
    private func purge(_ call: Call) async throws(Problem) -> Answer {
        let waits = try Waiting.isAsked(call)
        let own = call.principal.tenant
        // The tenant of the fleet has nothing to purge: its keys name another.
        let payload = try PurgePayload(try call.json(), ownTenant: own == .fleet ? nil : own)
        var tenant = own
        if case .tenant(let named) = payload.scope {
            guard named == own || call.isFleet else { throw .fleetOnly("a purge of another tenant") }
            tenant = named
        }
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.purge(payload.scope, payload.dryRun, tenant)
        }
        var isComplete: Bool?
        switch answer {
        case .generation(_, let announcement), .user(_, let announcement):
            isComplete = await Waiting(everywhere: self.useCases.everywhere)
                .isComplete(announcement, isAsked: waits)
        // Of a user who is not there nothing is served anywhere.
        case .nothing: isComplete = waits && !payload.dryRun ? true : nil
        }
        let body = JSONWriter.document(answer, of: payload.scope, dryRun: payload.dryRun, isComplete: isComplete)
        return .change(body, isComplete: isComplete)
    }
}
