import RecommendationCore
import Synchronization
import Testing

@testable import HTTPAPI
@testable import Serving

@Suite("Time of a read")
struct BudgetRouteTests {
    private final class Noted: Sendable {
        private let budgets = Mutex<[StageBudget?]>([])

        var all: [StageBudget?] { self.budgets.withLock { $0 } }

        func note(_ budget: StageBudget?) { self.budgets.withLock { $0.append(budget) } }
    }

    @Test("a read knows when its stages end, by what its caller waits; a write does not")
    func budgets() async throws {
        let budgets = Noted()
        var useCases = Canned().useCases
        let (recommend, record) = (useCases.recommend, useCases.recordFeedback)
        useCases.recommend = { request async throws(ServingError) in
            budgets.note(StageBudget.current)
            return try await recommend(request)
        }
        useCases.recordFeedback = { events, tenant async throws(ServingError) in
            budgets.note(StageBudget.current)
            return try await record(events, tenant)
        }
        try await withServers(useCases) { ports in
            let begun = ContinuousClock.now
            for time in ["400", "999999999"] {
                let reply = try await request(
                    ports.public,
                    "GET",
                    "/v1/recommendations/u1",
                    headers: [("X-Deadline-Ms", time)]
                )
                #expect(reply.status == 200)
            }
            let feedback = #"{"event_id":"e1","user_id":"u1","item_id":"i1","type":"view"}"#
            #expect(try await send(ports.public, "POST", "/v1/feedback", feedback).status == 200)
            let known = budgets.all
            let now = ContinuousClock.now
            let asked = try #require(known[0])
            #expect(asked.pool >= begun + .milliseconds(300) && asked.pool <= now + .milliseconds(300))
            #expect(asked.standIn == asked.pool + .milliseconds(50))
            #expect(asked.caps == asked.pool + .milliseconds(75))
            // No more than the server's own.
            let longest = try #require(known[1])
            #expect(longest.pool <= now + .milliseconds(1_500))
            #expect(known.count == 3 && known[2] == nil)
        }
    }

    @Test("a request that says how long it waits is for the routes, which heed it")
    func lane() async throws {
        let hot = try Hot()
        try await withServers(hot.useCases()) { ports in
            let reply = try await request(
                ports.public,
                "GET",
                "/v1/recommendations/u1",
                headers: [("X-Deadline-Ms", "1000")]
            )
            #expect(reply.status == 200)
            #expect(hot.answered.slow == 1 && hot.answered.fast == 0)
        }
    }
}
