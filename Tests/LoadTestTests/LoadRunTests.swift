import Foundation
import Histogram
import LoadClient
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import LoadTest

@Suite("Load runs", .serialized)
struct LoadRunTests {
    private static func options(
        _ ports: [Int],
        scenario: String = "warm",
        rate: Double = 100,
        duration: Duration = .seconds(1),
        users: Int = 10
    ) throws -> LoadRun.Options {
        var options = LoadRun.Options(
            addresses: ports.compactMap { Address("http://127.0.0.1:\($0)") },
            scenario: try #require(try Scenario.builtIn(scenario)),
            population: Population(
                users: users,
                userFormat: try #require(IDFormat("u%06d")),
                items: 10,
                itemFormat: try #require(IDFormat("i%06d"))
            ),
            rate: rate,
            duration: duration,
            connections: 8,
            seed: 1
        )
        options.key = "secret-key"
        options.timeout = .seconds(3)
        return options
    }

    @Test("a run prepares, asks at its rate, and reports statuses, tiers and latencies")
    func whole() async throws {
        try await StubServer.with { request in
            .answer(headers: ["X-Vireo-Cache": request.number < 20 ? "computed" : "l1"])
        } _: { server in
            let ticks = Mutex(0)
            let report = try await LoadRun(try Self.options([server.port])).run { _ in ticks.withLock { $0 += 1 } }
            #expect(server.requests.count == 120)
            let passes = (0..<20).map { "/v1/recommendations/\(Self.user($0))?limit=20" }
            // Connections overtake each other.
            #expect(server.requests.prefix(20).map(\.head.uri).sorted() == passes.sorted())
            let head = server.requests[50].head
            #expect(head.headers["host"] == ["127.0.0.1:\(server.port)"])
            #expect(head.headers["authorization"] == ["Bearer secret-key"])
            #expect(report.preparation?.completed == 20)
            #expect(report.recorder.sent == 100)
            #expect(report.recorder.completed == 100)
            #expect(report.recorder.statuses == [200: 100])
            #expect(report.recorder.tiers == ["l1": 100])
            #expect(report.recorder.failures.isEmpty)
            // Of a run in which the machine did not stand still.
            var rates = [report.achievedRate]
            while !(90...101).contains(rates.last!), rates.count < 5 {
                rates.append(try await LoadRun(try Self.options([server.port])).run { _ in }.achievedRate)
            }
            #expect((90...101).contains(rates.last!), "\(rates)")
            #expect(ticks.withLock { $0 } >= 2)
            #expect(!report.json.contains("secret-key"))
        }
    }

    private static func user(_ number: Int) -> String {
        "u0000" + (number % 10 == 9 ? "10" : "0\(number % 10 + 1)")
    }

    @Test("a real standstill of a second shows in the latencies from when requests were due")
    func stall() async throws {
        // From request 150 on (20 of preparation, then 1.3 s), answers come when the second is over.
        let stalled = Mutex<ContinuousClock.Instant?>(nil)
        try await StubServer.with { request in
            guard request.number >= 150 else { return .answer() }
            let since = stalled.withLock { stalled in
                if stalled == nil { stalled = .now }
                return ContinuousClock.now - stalled!
            }
            let left = Duration.seconds(1) - since
            return left > .zero ? .later(.nanoseconds(Int64(left / .nanoseconds(1)))) : .answer()
        } _: { server in
            let report = try await LoadRun(try Self.options([server.port], duration: .seconds(4))).run { _ in }
            #expect(report.recorder.completed == 400)
            let recorder = report.recorder
            // 100 of 400 were due in the second: the 90th percentile is in it. 8 were under way.
            #expect(recorder.fromIntended.valueAtPercentile(90) > 300_000)
            #expect(recorder.fromIntended.valueAtPercentile(99) > 800_000)
            #expect(recorder.fromSent.valueAtPercentile(90) < recorder.fromIntended.valueAtPercentile(90))
            #expect(recorder.delayed > 50)
        }
    }

    @Test("errors are counted by their kind, and the run goes on")
    func errors() async throws {
        try await StubServer.with { request in
            switch request.number % 10 {
            case 3: .close
            case 5: .bytes("SSH-2.0-stub\r\n\r\n")
            case 7: .answer(status: .serviceUnavailable, headers: ["Connection": "close"])
            default: .answer()
            }
        } _: { server in
            let report = try await LoadRun(try Self.options([server.port], scenario: "mix")).run { _ in }
            #expect(server.requests.count == 100)
            #expect(report.recorder.failures == [.closed: 10, .malformed: 10])
            #expect(report.recorder.statuses == [200: 70, 503: 10])
            #expect(report.recorder.completed == 80)
            #expect(report.recorder.fromIntended.totalCount == 80)
        }
    }

    @Test("answers that never come are given up after the time-out, and the run ends")
    func silence() async throws {
        try await StubServer.with { _ in
            .never
        } _: { server in
            var options = try Self.options([server.port], scenario: "mix", rate: 20)
            options.timeout = .milliseconds(300)
            let start = ContinuousClock.now
            let report = try await LoadRun(options).run { _ in }
            #expect(report.recorder.failures == [.timeout: 20])
            #expect(report.recorder.fromIntended.min >= 299_000)
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }

    @Test("several addresses take turns; l2 prepares the first and asks the others")
    func addresses() async throws {
        try await StubServer.with({ _ in .answer() }) { first in
            try await StubServer.with({ _ in .answer() }) { second in
                let ports = [first.port, second.port]
                let mix = try await LoadRun(try Self.options(ports, scenario: "large")).run { _ in }
                #expect(mix.recorder.completed == 100)
                #expect(first.requests.count == 50)
                #expect(second.requests.count == 50)
                let l2 = try await LoadRun(try Self.options(ports, scenario: "l2", users: 30)).run { _ in }
                #expect(l2.preparation?.completed == 60)
                #expect(first.requests.count == 110)
                // Each user once: the run ends after 30, of 100 that its second has room for.
                #expect(second.requests.count == 80)
                #expect(Set(second.requests.dropFirst(50).map(\.head.uri)).count == 30)
                #expect(l2.notes.contains { $0.contains("30 users") })
            }
        }
    }

    @Test("cold purges over the administration's address first; a refusal says which right is missing")
    func purge() async throws {
        try await StubServer.with({ _ in .answer() }) { server in
            try await StubServer.with { request in
                request.number == 0 ? .answer() : .answer(status: .forbidden)
            } _: { admin in
                var options = try Self.options([server.port], scenario: "cold")
                let without = try await LoadRun(options).run { _ in }
                #expect(without.notes.contains { $0.contains("VIREO_ADMIN_URL") })
                options.admin = Address("http://127.0.0.1:\(admin.port)")
                let report = try await LoadRun(options).run { _ in }
                #expect(report.recorder.completed == 10)
                #expect(admin.requests.map(\.head.uri) == ["/v1/admin/purge"])
                #expect(admin.requests.map(\.body) == [#"{"scope":"surface","id":"home"}"#])
                let refused = options
                let error = await #expect(throws: LoadError.self) { try await LoadRun(refused).run { _ in } }
                #expect(error?.description.contains("VIREO_API_KEY") == true)
            }
        }
    }

    @Test("a wrong key is told before anything is measured")
    func wrongKey() async throws {
        try await StubServer.with({ _ in .answer(status: .unauthorized) }) { server in
            let options = try Self.options([server.port])
            let error = await #expect(throws: LoadError.self) { try await LoadRun(options).run { _ in } }
            #expect(error?.description.contains("VIREO_API_KEY") == true)
        }
    }

    @Test("an address where nobody listens is named")
    func unreachable() async throws {
        let port = try await StubServer.with({ _ in .answer() }) { $0.port }
        let options = try Self.options([port])
        let error = await #expect(throws: LoadError.self) { try await LoadRun(options).run { _ in } }
        #expect(error?.description == "nothing answers at http://127.0.0.1:\(port)")
    }

    @Test("a cancelled run has the result so far", arguments: ["warm", "mix"])
    func cancelled(scenario: String) async throws {
        // The preparation of warm never ends; the mix is under way.
        try await StubServer.with { request in
            scenario == "warm" && request.number > 5 ? .never : .answer()
        } _: { server in
            var options = try Self.options([server.port], scenario: scenario, duration: .seconds(60))
            options.timeout = .seconds(30)
            let run = LoadRun(options)
            let task = Task { try await run.run { _ in } }
            while server.requests.count < 12 { await Task.yield() }
            task.cancel()
            let report = try await task.value
            #expect(report.isInterrupted)
            #expect(report.elapsed < .seconds(10))
            #expect((report.preparation?.completed ?? report.recorder.completed) >= 5)
        }
    }

    @Test("the JSON has every field that is promised")
    func json() async throws {
        struct Latency: Decodable { let p50, p90, p99, p99_9, max: Double }
        struct Latencies: Decodable { let from_intended, from_sent: Latency }
        struct Client: Decodable {
            let kept_up: Bool
            let lag_ms: Latency
            let cpu: Double
        }
        struct Document: Decodable {
            let scenario: String
            let sent, completed: Int
            let achieved_rate: Double
            let errors, statuses, tiers: [String: Int]
            let latency_ms: Latencies
            let client: Client
            let interrupted: Bool
            let notes: [String]
        }
        try await StubServer.with({ _ in .answer(headers: ["X-Vireo-Cache": "l2"]) }) { server in
            let report = try await LoadRun(try Self.options([server.port], scenario: "keys")).run { _ in }
            let document = try JSONDecoder().decode(Document.self, from: Data(report.json.utf8))
            #expect(document.scenario == "keys")
            #expect(document.sent == 100)
            #expect(document.statuses == ["200": 100])
            #expect(document.tiers == ["l2": 100])
            #expect(document.errors == ["connect": 0, "closed": 0, "malformed": 0, "timeout": 0, "unsent": 0])
            #expect(document.latency_ms.from_intended.max >= document.latency_ms.from_sent.p50)
            #expect(report.lines.count >= 8)
        }
    }
}
