import Foundation
import Testing

/// Reads that wait for less than a store takes.
@Suite("Fleet in a hurry", .serialized)
struct DeadlineFleetTests {
    private struct Answer: Decodable {
        let fallback: String?
        let fallback_reason: String?
        let degraded: [String]
        let items: [Slate.Place]
    }

    @Test("PostgreSQL says nothing: who waits 300 ms gets what everybody gets, and is told why")
    func silent() async throws {
        try await Fleet.with(nodes: 1, linked: true) { fleet in
            // Of whom nothing is cached.
            let users = (101...106).map { String(format: "u%06d", $0) }
            try await fleet.nodes[0].links?.postgres.set(.silent)
            var inTime = 0
            for (number, user) in users.enumerated() {
                let start = ContinuousClock.now
                let response = try await fleet.app(0).send(
                    "GET",
                    "/v1/recommendations/\(user)?limit=5",
                    headers: [("X-Deadline-Ms", "300")]
                )
                // A machine that stood still until the time was over has no answer: of six, one or two in a row.
                if response.status == 504 { continue }
                #expect(response.status == 200, "\(response.body)")
                guard response.status == 200 else { continue }
                // Deadlines are kept to a tick of 50 ms.
                if ContinuousClock.now - start < .milliseconds(400) { inTime += 1 }
                let answer = try response.json(as: Answer.self)
                #expect(answer.fallback == "popular" && answer.items.count == 5)
                // Later ones hear at once that the store has not answered others.
                if number == 0 { #expect(answer.fallback_reason == "deadline") }
                let part = answer.fallback_reason == "deadline" ? "deadline" : "postgres"
                #expect(answer.degraded.contains(part) && answer.degraded.contains("unverified"))
            }
            #expect(inTime >= 4)
            try await fleet.nodes[0].links?.postgres.set(.none)
            try await eventually("their own lists are computed again", within: 20) {
                try await fleet.slate(0, user: users[0]).fallback == nil
            }
        }
    }
}
