import HTTPAPI
import RecommendationCore
import Serving
import Synchronization
import Testing

@Suite("Self-check routes")
struct SelfCheckRouteTests {
    private static let denial = SelfCheckReport.Suspect(
        kind: "tombstone",
        node: "n3",
        tenant: "t",
        change: .tombstone(kind: "item", id: "i\"7", epoch: 9012),
        keyHash: "ff00",
        seconds: 1,
        foundAt: Timestamp(seconds: 1_788_256_800),
        held: [],
        proof: "journal",
        session: nil,
        leaseAgeMilliseconds: nil
    )

    private static let suspect = SelfCheckReport.Suspect(
        kind: "relay",
        node: "n2",
        tenant: "t",
        change: .user("a|b\n", 9),
        keyHash: "00ff",
        seconds: 5,
        foundAt: Timestamp(seconds: 1_788_256_800),
        held: [SelfCheckReport.Suspect.Entry(field: "home|m1", userVersion: 8, ageMilliseconds: 7_000)],
        proof: "bus",
        session: .max,
        leaseAgeMilliseconds: 12
    )

    private static func useCases(_ asked: Asked) -> UseCases {
        var useCases = Canned().useCases
        useCases.selfCheck = SelfCheckUseCases(
            report: { tenant in
                asked.note(tenant)
                let counts = SelfCheckReport.Counts(
                    kind: "write",
                    seconds: 1,
                    consistent: 3,
                    stale: 1,
                    unanswered: 2,
                    share: 0.75
                )
                let none = SelfCheckReport.Counts(
                    kind: "tombstone",
                    seconds: 5,
                    consistent: 0,
                    stale: 0,
                    unanswered: 0,
                    share: nil
                )
                let suspects = [Self.suspect, Self.denial]
                return SelfCheckReport(isOn: true, pending: 4, counts: [counts, none], suspects: suspects)
            },
            answer: { seal, body in
                if seal != "good" { return .unsealed }
                return body == Array("{}".utf8) ? .answer(Array(#"{"answers":[]}"#.utf8)) : .unreadable
            }
        )
        return useCases
    }

    private final class Asked: Sendable {
        private let tenants = Mutex<[Tenant.ID?]>([])
        func note(_ tenant: Tenant.ID?) { self.tenants.withLock { $0.append(tenant) } }
        var all: [Tenant.ID?] { self.tenants.withLock { $0 } }
    }

    @Test("what the check came to, with the suspects; without a key nothing is said")
    func report() async throws {
        let asked = Asked()
        try await withServers(Self.useCases(asked), authentication: true) { ports in
            try await request(ports.admin, "GET", "/v1/admin/self-check").expectProblem(401, "unauthenticated")
        }
        #expect(asked.all.isEmpty)
        try await withServers(Self.useCases(asked)) { ports in
            let reply = try await request(ports.admin, "GET", "/v1/admin/self-check")
            #expect(
                reply.text
                    == #"{"enabled":true,"pending":4,"within":[{"kind":"write","seconds":1,"consistent":3,"stale":1,"#
                    + #""unanswered":2,"share":0.75},{"kind":"tombstone","seconds":5,"consistent":0,"stale":0,"#
                    + #""unanswered":0,"share":null}],"suspects":["#
                    + #"{"kind":"relay","node":"n2","tenant":"t","user_id":"a|b\n","user_version":9,"tombstone":null,"#
                    + #""key_hash":"00ff","after_s":5,"#
                    + #""found_at":"2026-09-01T10:00:00.000Z","held":[{"tier":"l1","field":"home|m1","user_version":8,"#
                    + #""age_ms":7000}],"proof":"bus","session":"18446744073709551615","lease_age_ms":12},"#
                    + #"{"kind":"tombstone","node":"n3","tenant":"t","user_id":null,"user_version":null,"#
                    + #""tombstone":{"kind":"item","id":"i\"7","epoch":9012},"key_hash":"ff00","after_s":1,"#
                    + #""found_at":"2026-09-01T10:00:00.000Z","held":[],"proof":"journal","session":null,"#
                    + #""lease_age_ms":null}]}"#
            )
        }
    }

    @Test("a question is answered to a node, and to nobody else, whatever key they have")
    func questions() async throws {
        try await withServers(Self.useCases(Asked()), authentication: false) { ports in
            func ask(_ authorization: String?, _ body: String = "{}") async throws -> Reply {
                var headers = [("Content-Type", "application/json")]
                if let authorization { headers.append(("Authorization", authorization)) }
                return try await request(
                    ports.admin,
                    "POST",
                    "/v1/admin/self-check/questions",
                    headers: headers,
                    body: body
                )
            }
            let good = try await ask("Vireo-Node good")
            #expect(good.status == 200 && good.text == #"{"answers":[]}"#)
            for authorization in [nil, "Vireo-Node bad", "Vireo-Node ", "Bearer good", "good", "vireo-node good"] {
                let refused = try await ask(authorization)
                try refused.expectProblem(401, "unauthenticated")
                #expect(refused["www-authenticate"] == "Vireo-Node")
            }
            try await ask("Vireo-Node good", "[]").expectProblem(
                422,
                "invalid_parameter",
                [Wrong("#", "invalid", "questions of a node")]
            )
        }
    }
}
