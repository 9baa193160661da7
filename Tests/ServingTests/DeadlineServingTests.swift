import RecommendationCore
import Synchronization
import Testing

@testable import Caching
@testable import Serving

/// What a read is answered by when its time gets short: one node over stores in memory that may not answer.
@Suite("Serving in time")
struct DeadlineServingTests {
    private typealias Node = PolicyServingTests.Node

    /// Asks with little time for one part, and as much as it takes for what comes after it: this machine may be busy.
    private static func within<Value>(
        pool: Duration = .milliseconds(100),
        caps: Duration = .seconds(3_600),
        _ body: () async throws(ServingError) -> Value
    ) async throws -> Value {
        let (start, hour) = (ContinuousClock.now, Duration.seconds(3_600))
        let budget = StageBudget(
            hour,
            pool: start + pool,
            standIn: start + hour,
            caps: start + caps,
            end: start + hour
        )
        return try await self.ask(budget, body)
    }

    /// Asks at some time within a budget of a second, which goes on no further: what is waited for is there at once.
    private static func late<Value>(
        by offset: Duration,
        _ body: () async throws(ServingError) -> Value
    ) async throws -> Value {
        let start = ContinuousClock.now + .seconds(3_600)
        return try await self.ask(self.budget(.seconds(1), from: start) { start + offset }, body)
    }

    private static func ask<Value>(
        _ budget: StageBudget,
        _ body: () async throws(ServingError) -> Value
    ) async throws -> Value {
        let result = await StageBudget.within(budget) { () async -> Result<Value, ServingError> in
            do throws(ServingError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func budget(
        _ time: Duration,
        from start: ContinuousClock.Instant,
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) -> StageBudget {
        StageBudget(
            time,
            pool: start + time * 3 / 4,
            standIn: start + time * 7 / 8,
            caps: start + time * 15 / 16,
            end: start + time,
            now: now
        )
    }

    @Test("what is optional is dropped in its order as the time gets short, and nothing of a read that has no deadline")
    func order() {
        #expect(StageBudget.current == nil)
        let start = ContinuousClock.now
        func short(at milliseconds: Int) -> [StageBudget.Extra] {
            let budget = Self.budget(.seconds(2), from: start) { start + .milliseconds(milliseconds) }
            return StageBudget.Extra.allCases.filter { budget.isShort(for: $0) }
        }
        #expect(short(at: 1_479) == [])
        #expect(short(at: 1_481) == [.candidates])
        #expect(short(at: 1_674) == [.candidates])
        #expect(short(at: 1_676) == [.candidates, .replacement])
        #expect(short(at: 1_981) == [.candidates, .replacement, .exploration])
        #expect(short(at: 1_991) == StageBudget.Extra.allCases)
    }

    @Test("a user who cannot be read in time gets what everybody gets, in time, and the answer says why")
    func popular() async throws {
        let (node, latch) = (try await Node { _ in }, Latch())
        node.users.waits(for: latch)
        let answer = try await Self.within { () async throws(ServingError) in try await node.ask() }
        #expect(answer.fallback == .popular && answer.fallbackReason == "deadline" && !answer.items.isEmpty)
        #expect(answer.degraded == [.deadline, .unverified])
        latch.open()
        // The next one's is computed again, and kept.
        #expect(try await node.ask().tier == .computed)
        #expect(try await node.ask().tier == .l1)
    }

    @Test("the policy's order holds: a stale copy that may be served, a list computed ahead, what is curated")
    func ladder() async throws {
        let node = try await Node {
            $0.softTTL = .seconds(10)
            $0.staticItems = [Item.ID(trusted: "i3")]
            $0.fallback = [.stale, .precomputed, .staticList]
        }
        _ = try await node.ask()
        await node.later(.seconds(11))
        let latch = Latch()
        node.users.waits(for: latch)
        let stale = try await Self.within { () async throws(ServingError) in try await node.ask() }
        #expect(stale.tier == .stale && stale.fallback == .stale && stale.fallbackReason == "deadline")
        #expect(stale.degraded == [.deadline])
        // What was invalidated is none, however short the time.
        node.forget(User.ID(trusted: "ann"))
        node.precomputed.has([try PrecomputedServingTests.list(node)])
        let precomputed = try await Self.within { () async throws(ServingError) in try await node.ask() }
        #expect(precomputed.tier == .precomputed && precomputed.fallbackReason == "deadline")
        node.precomputed.has([])
        let curated = try await Self.within { () async throws(ServingError) in try await node.ask() }
        #expect(curated.fallback == .staticList && curated.items.map(\.item.string) == ["i3"])
        latch.open()
    }

    @Test("a policy that refuses what is not verified refuses it too when the time is short")
    func refuses() async throws {
        let (node, latch) = (try await Node { $0.onUnverified = .refuse }, Latch())
        node.users.waits(for: latch)
        await #expect(throws: ServingError.unverified) {
            try await Self.within { () async throws(ServingError) in try await node.ask() }
        }
        latch.open()
    }

    @Test("no list stands in for one of a version that is asked for")
    func version() async throws {
        let (node, latch) = (try await Node { _ in }, Latch())
        node.users.waits(for: latch)
        var request = RecommendationRequest(
            tenant: .default,
            user: User.ID(trusted: "ann"),
            surface: "home",
            limit: 5
        )
        request.minimumVersion = 1
        let wanted = request
        await #expect(throws: ServingError.deadline) {
            try await Self.within { () async throws(ServingError) in try await node.service.recommend(wanted) }
        }
        latch.open()
    }

    @Test("so it is with many at once, and with lists that leave out what a user has had")
    func others() async throws {
        let (node, latch) = (try await Node { _ in }, Latch())
        node.users.waits(for: latch)
        let requests = ["ann", "bob", "cid"].map {
            RecommendationRequest(tenant: .default, user: User.ID(trusted: $0), surface: "home", limit: 5)
        }
        let answers = try await Self.within { () async throws(ServingError) in
            try await node.service.recommend(requests, tenant: .default)
        }
        for answer in answers {
            let answer = try answer.get()
            #expect(answer.fallback == .popular && answer.fallbackReason == "deadline" && !answer.items.isEmpty)
        }
        let similar = try await Self.within { () async throws(ServingError) in
            try await node.lists.similar(
                SimilarRequest(
                    tenant: .default,
                    item: Item.ID(trusted: "i3"),
                    surface: "home",
                    user: User.ID(trusted: "ann"),
                    limit: 5
                )
            )
        }
        #expect(!similar.items.isEmpty)
        #expect(similar.degraded.contains(.deadline) && similar.degraded.contains(.unverified))
        latch.open()
    }

    @Test("caps hold: what cannot be counted in time is left out")
    func caps() async throws {
        let node = try await Node {
            $0.frequencyCaps = [
                Policy.FrequencyCap(
                    maximum: 1,
                    window: .seconds(3_600),
                    when: .categories([ItemExpression.Text(trusted: "c1")])
                )
            ]
        }
        let latch = Latch()
        node.counters.waits(for: latch)
        let answer = try await Self.within(pool: .seconds(3_600), caps: .milliseconds(100)) {
            () async throws(ServingError) in try await node.ask(limit: 20)
        }
        #expect(answer.tier == .computed && !answer.items.isEmpty && answer.degraded == [.frequencyCap])
        #expect(answer.items.allSatisfy { node.number($0.item) % 7 != 1 })
        latch.open()
    }

    @Test("stored impressions that do not come in half the time of caps leave the other half to what Redis has")
    func silentImpressions() async throws {
        let node = try await Node { $0.frequencyCaps = [Policy.FrequencyCap(maximum: 1, window: .seconds(3_600))] }
        let latch = Latch()
        node.counters.forgetsAll()
        node.shown.waits(for: latch)
        let begin = ContinuousClock.now
        let time = Duration.seconds(6)
        let answer = try await Self.within(pool: .seconds(3_600), caps: time) {
            () async throws(ServingError) in try await node.ask(limit: 5)
        }
        let end = ContinuousClock.now
        // A machine that stands still for the other half has counted nothing.
        if end - begin < time {
            #expect(answer.tier == .computed && answer.items.count == 5 && answer.degraded == [.postgres])
        }
        latch.open()
    }

    @Test("the second replacement under caps is dropped where its time is over, and the list is short")
    func replacement() async throws {
        let node = try await Node {
            $0.maximumPerWindow = 0
            $0.frequencyCaps = [Policy.FrequencyCap(maximum: 1, window: .seconds(3_600))]
        }
        // None of what is chosen first, one of what is chosen instead, and one of what is chosen instead of that.
        let first = try await node.ask(limit: 20).items.map { node.number($0.item) }
        let capped = try await Node {
            $0.maximumPerWindow = 0
            $0.frequencyCaps = [Policy.FrequencyCap(maximum: 1, window: .seconds(3_600))]
        }
        capped.counters.refuses(allBut: [first[4], first[6]])
        let whole = try await Self.late(by: .milliseconds(500)) { () async throws(ServingError) in
            try await capped.ask(limit: 3)
        }
        let short = try await Self.late(by: .milliseconds(745)) { () async throws(ServingError) in
            try await capped.ask(limit: 3)
        }
        #expect(!whole.degraded.contains(.replacement))
        #expect(short.degraded.contains(.replacement))
        #expect(short.items.count < whole.items.count)
    }

    @Test("a computation without time for a whole pool draws a smaller one, for this request alone")
    func candidates() async throws {
        let node = try await Node {
            $0.poolSize = 20
            $0.maximumPerWindow = 0
        }
        let small = try await Self.late(by: .milliseconds(735)) { () async throws(ServingError) in
            try await node.ask(limit: 3)
        }
        #expect(small.tier == .computed && small.degraded == [.candidates] && small.items.count == 3)
        let whole = try await node.ask(limit: 20)
        #expect(whole.tier == .computed && whole.degraded.isEmpty, "the small one is kept nowhere")
        #expect(whole.items.count > 6)
        #expect(small.items.map(\.item) == whole.items.prefix(3).map(\.item), "the best of them are the same")
        let hit = try await Self.late(by: .milliseconds(735)) { () async throws(ServingError) in
            try await node.ask(limit: 20)
        }
        #expect(hit.tier == .l1 && hit.degraded.isEmpty && hit.items.map(\.item) == whole.items.map(\.item))
    }

    @Test("at the very end the list is in the order of the scores, and the answer says so")
    func reranking() async throws {
        func node(_ relevance: Double?) async throws -> Node {
            try await Node(items: { item in
                item.categories = [Int(item.id.string.dropFirst())! < 10 ? "a" : "b"]
                item.creator = nil
            }) {
                $0.maximumPerWindow = 0
                $0.marginalRelevance = relevance
                $0.exploration = Policy.Exploration(share: 0.2, maximumAgeDays: 14)
            }
        }
        let (reranked, plain) = (try await node(0.1), try await node(nil))
        let expected = try await plain.ask(limit: 10).items.map(\.item)
        let usual = try await reranked.ask(limit: 10)
        #expect(usual.items.map(\.item) != expected && usual.degraded.isEmpty)
        let late = try await Self.late(by: .milliseconds(992)) { () async throws(ServingError) in
            try await reranked.ask(limit: 10)
        }
        #expect(late.tier == .l1 && late.degraded == [.exploration, .reranking])
        #expect(late.items.map(\.item) == expected)
        let almost = try await Self.late(by: .milliseconds(985)) { () async throws(ServingError) in
            try await reranked.ask(limit: 10)
        }
        #expect(almost.degraded == [.exploration])
    }

    @Test("a session whose user cannot be read in time goes on without, and without what it rejects")
    func session() async throws {
        let (node, latch, kept) = (try await Node { _ in }, Latch(), SessionServingTests.Kept())
        let service = SessionService(node.context, sessions: kept, interactions: kept)
        node.users.waits(for: latch)
        let answer = try await Self.within { () async throws(ServingError) in
            try await service.recommend(
                SessionRequest(
                    RecommendationRequest(
                        tenant: .default,
                        user: User.ID(trusted: "ann"),
                        surface: "home",
                        limit: 20
                    ),
                    session: nil,
                    events: [
                        SessionRequest.Event(item: Item.ID(trusted: "i0"), type: .hide, value: 1, occurredAt: nil)
                    ]
                )
            )
        }
        #expect(answer.fallback == .popular && answer.fallbackReason == "deadline" && !answer.items.isEmpty)
        #expect(!answer.items.map(\.item.string).contains("i0"))
        latch.open()
    }
}

@Suite("Work by the end of a stage")
struct StageClockTests {
    @Test("what is there in time is the value; without an end all is in time")
    func inTime() async {
        let clock = StageClock()
        #expect(await clock.value(by: .now + .seconds(3_600)) { 1 } == 1)
        #expect(
            await clock.value(by: .now + .seconds(3_600)) { () async -> Int in
                await Task.yield()
                return 2
            } == 2
        )
        #expect(await clock.value(by: nil) { 3 } == 3)
    }

    @Test("nothing is begun whose time is over")
    func over() async {
        let begun = Atomic(false)
        let value = await StageClock().value(by: .now) { () async -> Int in
            begun.store(true, ordering: .relaxed)
            return 1
        }
        #expect(value == nil && !begun.load(ordering: .relaxed))
    }

    @Test("work that does not heed its end is not waited for by who asked, but by the service")
    func late() async {
        let (clock, latch, ended) = (StageClock(), Latch(), Counted())
        let value = await clock.value(by: .now + .milliseconds(20)) { () async -> Int in
            await latch.wait()
            ended.note()
            return 1
        }
        #expect(value == nil && ended.count == 0)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await clock.run() }
            latch.open()
            while ended.count == 0 { await Task.yield() }
            group.cancelAll()
        }
    }

    private final class Counted: Sendable {
        private let number = Atomic(0)

        var count: Int { self.number.load(ordering: .relaxed) }

        func note() { self.number.wrappingAdd(1, ordering: .relaxed) }
    }
}

/// Holds whoever comes until it is opened, whether they are cancelled or not.
final class Latch: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = self.state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiting = self.state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
