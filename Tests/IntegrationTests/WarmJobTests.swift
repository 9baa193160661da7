import PostgresAdapters
import RecommendationCore
import Testing

@Suite("Warmings in PostgreSQL")
struct WarmJobTests {
    @Test("jobs are done in their order, tell how far they are, and come again where the builder went away")
    func queue() async throws {
        try await withDatabase { database in
            let jobs = PostgresWarmJobRepository(store: database.store)
            #expect(try await jobs.next() == nil)
            let first = try await jobs.submit(surface: "home", isScheduled: false, tenant: .default)
            #expect(try await jobs.submit(surface: "home", isScheduled: true, tenant: .default) == first, "it waits")
            let second = try await jobs.submit(surface: "detail", isScheduled: true, tenant: .default)
            let queued = try #require(try await jobs.job(first, tenant: .default))
            #expect(queued.state == .queued && !queued.isScheduled && queued.surface == "home")
            #expect(queued.progress == WarmJob.Progress() && queued.startedAt == nil && queued.finishedAt == nil)
            #expect(try await jobs.job(first, tenant: .fleet) == nil, "of another tenant")

            let running = try #require(try await jobs.next())
            #expect(running.number == first && running.state == .running && running.startedAt != nil)
            let progress = WarmJob.Progress(total: 9, computed: 2, held: 3, failed: 1)
            try await jobs.write(progress, .running, reason: nil, of: first)
            let seen = try #require(try await jobs.job(first, tenant: .default))
            #expect(seen.progress == progress && seen.state == .running && seen.finishedAt == nil)
            // Begun again from the start.
            #expect(try await jobs.next()?.progress == WarmJob.Progress())
            try await jobs.write(progress, .failed, reason: "there is no model", of: first)
            let failed = try #require(try await jobs.job(first, tenant: .default))
            #expect(failed.state == .failed && failed.reason == "there is no model" && failed.finishedAt != nil)
            #expect(try await jobs.next()?.number == second)
            try await jobs.write(progress, .done, reason: nil, of: second)
            #expect(try await jobs.next() == nil)

            // A hundred are kept.
            for _ in 0..<120 {
                let job = try await jobs.submit(surface: "home", isScheduled: true, tenant: .default)
                try await jobs.write(progress, .done, reason: nil, of: job)
            }
            #expect(try await database.count("warm_jobs") == 100)
            #expect(try await jobs.job(first, tenant: .default) == nil)
            await #expect(throws: RepositoryError.conflict("no such tenant")) {
                try await jobs.submit(surface: "home", isScheduled: true, tenant: id("nobody"))
            }
        }
    }

    @Test("a sample is of one tenant's users, spread over all of them, the same each time")
    func sample() async throws {
        try await withDatabase { database in
            let jobs = PostgresWarmJobRepository(store: database.store)
            #expect(try await jobs.sample(10, tenant: .default).isEmpty)
            let other = Tenant.ID(trusted: "other")
            try await database.imports.ensureTenant(other)
            for number in 0..<40 {
                _ = try await database.profiles.apply(.consent(true), to: id("u\(number)"), tenant: .default)
                _ = try await database.profiles.apply(.consent(true), to: id("other \(number)"), tenant: other)
            }
            let sample = try await jobs.sample(8, tenant: .default).map(\.string)
            #expect(sample.count == 8 && Set(sample).count == 8 && sample.allSatisfy { $0.hasPrefix("u") })
            #expect(try await jobs.sample(8, tenant: .default).map(\.string) == sample)
            // One of each fifth or so of those who came one after the other.
            let numbers = sample.compactMap { Int($0.dropFirst()) }
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { (3...8).contains($1 - $0) }, "\(numbers)")
            #expect(try await Set(jobs.sample(1_000, tenant: .default)).count == 40)
            #expect(try await jobs.sample(1, tenant: .default).count == 1)
            #expect(try await jobs.sample(10, tenant: id("nobody")).isEmpty)
        }
    }

    @Test("active are those whose newest event is new enough, the newest first, as many as are asked for")
    func activity() async throws {
        try await withDatabase { database in
            let jobs = PostgresWarmJobRepository(store: database.store)
            try await database.addItems("i1")
            let events = [
                event(.view, by: "old", at: 0), event(by: "ann", at: 10), event(by: "ann", at: 500),
                event(.view, by: "bob", at: 900), event(by: "cid", at: 100), event(by: "old", at: 5),
            ]
            _ = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
            _ = try await database.profiles.apply(.consent(true), to: id("idle"), tenant: .default)
            let since = Timestamp(seconds: 1_767_225_600 + 100)
            func active(_ limit: Int, _ tenant: Tenant.ID = .default) async throws -> [String] {
                try await jobs.activeUsers(since: since, limit: limit, tenant: tenant).map(\.string)
            }
            #expect(try await active(10) == ["bob", "ann", "cid"])
            #expect(try await active(2) == ["bob", "ann"])
            #expect(try await active(10, .fleet).isEmpty)
            #expect(try await active(10, id("nobody")).isEmpty)
        }
    }
}
