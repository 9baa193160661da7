import RecommendationCore
import RecommendationEngine
import Testing

@testable import Caching
@testable import Serving

/// Alone, among many, with filters and without: the same rules, and so the same answers.
@Suite("One and many")
struct BatchServingTests {
    private typealias Node = PolicyServingTests.Node

    /// What an answer says, but for its id, its tokens, and where its pool was found.
    private struct Said: Equatable {
        let items: [String]
        let scores: [Float]
        let reasons: [Reason]
        let filtered: FilteredCounts
        let fallback: Fallback?
        let fallbackReason: String?
        let degraded: [Degradation]
        let userVersion: User.Version

        init(_ answer: Recommendation) {
            self.items = answer.items.map(\.item.string)
            self.scores = answer.items.map(\.score)
            self.reasons = answer.items.map(\.reason)
            self.filtered = answer.filtered
            self.fallback = answer.fallback
            self.fallbackReason = answer.fallbackReason
            self.degraded = answer.degraded
            self.userVersion = answer.userVersion
        }
    }

    private func requests(_ surface: String = "home") -> [RecommendationRequest] {
        var filters = [RequestFilters](repeating: .none, count: 4)
        filters[1].categories = [Identifier(trusted: "c1"), Identifier(trusted: "c2")]
        filters[2].excludedCategories = [Identifier(trusted: "c0")]
        filters[2].excludesSeen = false
        filters[3].excludedItems = [Identifier(trusted: "i0"), Identifier(trusted: "i1")]
        return filters.map { filters in
            var request = RecommendationRequest(
                tenant: .default,
                user: User.ID(trusted: "ann"),
                surface: surface,
                limit: 10
            )
            request.filters = filters
            return request
        }
    }

    /// Asks for each alone and for all together, and compares.
    private func same(_ node: Node, _ requests: [RecommendationRequest]) async throws -> [Result<Said, ServingError>] {
        var alone: [Result<Said, ServingError>] = []
        for request in requests {
            do throws(ServingError) {
                alone.append(.success(Said(try await node.service.recommend(request))))
            } catch {
                alone.append(.failure(error))
            }
        }
        let together = try await node.service.recommend(requests, tenant: .default)
        #expect(together.map { $0.map(Said.init) } == alone)
        return alone
    }

    @Test("a batch answers each request as it is answered alone", arguments: [true, false])
    func answers(_ hasHistory: Bool) async throws {
        let node = try await Node { _ in }
        let bought = HistoryEvent(item: 4, type: .purchase, value: 1, occurredAt: Fixture.now)
        node.users.has(hasHistory ? [bought] : [])
        let answers = try await self.same(node, self.requests()).map { try $0.get() }
        #expect(answers.allSatisfy { !$0.items.isEmpty && ($0.fallback == nil) == hasHistory })
        #expect(answers[1].items.allSatisfy { ["1", "2"].contains(String(Int($0.dropFirst())! % 7)) })
        #expect(Set(answers.map(\.items)).count == 4)
    }

    @Test("a cached list without items the user has had is not the answer to a request for them")
    func seenAskedFor() async throws {
        let node = try await Node { _ in }
        node.users.has([HistoryEvent(item: 4, type: .purchase, value: 1, occurredAt: Fixture.now)])
        var request = self.requests()[0]
        request.limit = 100
        let usual = try await node.service.recommend(request)
        request.filters.excludesSeen = false
        let asking = try await node.service.recommend(request)
        #expect(!usual.items.map(\.item.string).contains("i4") && usual.filtered.seen == 1)
        #expect(asking.items.map(\.item.string).contains("i4") && asking.filtered.seen == 0)
        request.filters.excludesSeen = true
        #expect(try await node.service.recommend(request).items.map(\.item) == usual.items.map(\.item))
    }

    /// What an event loop says to a request of ann's: at once, or by a look and a computation.
    private func immediate(_ node: Node, _ surface: String = "home") async throws -> (said: [String], tier: Tier)? {
        let workspace = ImmediateWorkspace()
        let standing = try #require(node.service.standNow())
        let request = ImmediateRequest(user: User.ID(trusted: "ann"), surface: surface, limit: 10)
        func said(_ answer: ImmediateAnswer) -> (said: [String], tier: Tier) {
            let items = workspace.slate.places.map { answer.state.catalog[$0.item]?.id.string ?? "" }
            let recommendation = answer.recommendation
            let tail =
                "\(recommendation.filtered) \(String(describing: recommendation.fallback)) \(recommendation.userVersion)"
            return (items + [tail], recommendation.tier)
        }
        let question: ImmediateQuestion
        switch node.service.recommendNow(request, tenant: .default, standing: standing, in: workspace) {
        case .answer(let answer): return said(answer)
        case .wait: return nil
        case .ask(let asked): question = asked
        }
        let pool: ImmediatePool
        switch await node.service.look([question])[0] {
        case .found(let found): pool = found
        case .wait: return nil
        case .missing:
            guard let computed = await node.service.compute([question])[0] else { return nil }
            pool = computed
        }
        return node.service.answer(question, from: pool, in: workspace).map(said)
    }

    @Test("an event loop answers as a request is answered alone, from every tier", arguments: [true, false])
    func immediately(_ hasHistory: Bool) async throws {
        let node = try await Node { _ in }
        let bought = HistoryEvent(item: 4, type: .purchase, value: 1, occurredAt: Fixture.now)
        node.users.has(hasHistory ? [bought] : [])
        let computed = try #require(try await self.immediate(node))
        #expect(computed.tier == .computed)
        let reads = node.users.reads
        let local = try #require(try await self.immediate(node))
        #expect(local.tier == .l1 && local.said == computed.said)
        #expect(node.users.reads == reads, "who has no history is known by now, too")
        let alone = try await node.ask(limit: 10)
        #expect(Array(computed.said.dropLast()) == alone.items.map(\.item.string))
        #expect(computed.said.last == "\(alone.filtered) \(String(describing: alone.fallback)) \(alone.userVersion)")
        #expect(node.users.reads == reads)
    }

    @Test("an event loop finds what L2 holds, and leaves to others what it cannot judge")
    func immediatelyFromShared() async throws {
        let node = try await Node { _ in }
        let computed = try #require(try await self.immediate(node))
        let state = try #require(node.control.state(of: .default))
        node.keeper.local.drop(CacheKey(prefix: state.keyPrefix, member: "ann"), below: .max)
        let shared = try #require(try await self.immediate(node))
        #expect(shared.tier == .l2 && shared.said == computed.said)
        #expect(try await self.immediate(node, "nowhere") == nil)
        let away = try await Node { _ in }
        away.users.isAway = true
        #expect(try await self.immediate(away) == nil)
        node.keeper.apply(.ended(session: 1))
        #expect(node.service.standNow() == nil, "without a lease it stands for nothing")
    }

    @Test("where the store is away all fall back alike", arguments: Policy.FallbackStep.allCases)
    func fallbacks(_ step: Policy.FallbackStep) async throws {
        let node = try await Node {
            $0.fallback = [step]
            $0.staticItems = (0..<20).reversed().map { Identifier(trusted: "i\($0)") }
        }
        node.users.isAway = true
        for answer in try await self.same(node, self.requests()) {
            switch step {
            case .popular: #expect(try answer.get().fallback == .popular)
            case .staticList: #expect(try answer.get().fallback == .staticList)
            case .stale, .precomputed: #expect(throws: ServingError.nothingToServe) { try answer.get() }
            }
        }
    }

    @Test("what somebody put together is shown in that order, however often a category comes in it")
    func curated() async throws {
        let items = [0, 7, 14, 1, 8, 15].map { Item.ID(trusted: "i\($0)") }
        let node = try await Node(hasModel: false) {
            $0.staticItems = items
            $0.maximumPerWindow = 1
        }
        let answer = try #require(try await self.same(node, [self.requests()[0]]).first).get()
        #expect(answer.items == items.map(\.string))
        #expect(answer.fallbackReason == "no_model" && answer.degraded == [.unverified])
        let list = try await node.lists.list(ListRequest(tenant: .default, kind: .popular))
        #expect(list.items.map(\.item) == items && list.fallback == .staticList)
    }

    @Test("a surface that is not the policy's is refused, with a model and without", arguments: [true, false])
    func surfaces(_ hasModel: Bool) async throws {
        let node = try await Node(hasModel: hasModel) { $0.staticItems = [Identifier(trusted: "i1")] }
        for answer in try await self.same(node, self.requests("nowhere")) {
            #expect(throws: ServingError.unknownSurface(allowed: Policy.builtIn.surfaces)) { try answer.get() }
        }
    }

    @Test("a version that nobody has is refused, and one that cannot be known now is to be asked for again")
    func versions() async throws {
        let node = try await Node { _ in }
        var request = self.requests()[0]
        request.minimumVersion = 2
        for answer in try await self.same(node, [request]) {
            #expect(throws: ServingError.versionUnknown) { try answer.get() }
        }
        node.users.isAway = true
        for answer in try await self.same(node, [request]) {
            #expect(throws: ServingError.storeUnavailable) { try answer.get() }
        }
    }

    @Test("users without history are scored once for all of them and what they ask for, alone or together")
    func cold() async throws {
        let node = try await Node { _ in }
        node.users.has([])
        for user in ["ann", "bob", "eve"] {
            let requests = self.requests().map { request in
                var request = request
                request.user = User.ID(trusted: user)
                return request
            }
            for answer in try await self.same(node, requests) { #expect(try answer.get().fallback == .coldStart) }
        }
        // Excluded items are the final stage's: no list of their own.
        #expect(node.service.context.pools.coldLists.count == 3)
    }
}

@Suite("Cold lists")
struct ColdListsTests {
    @Test("a list is made once for a state and what is asked for")
    func once() {
        let lists = ColdLists()
        let (first, second) = (Fixture.state(items: Fixture.items(1)), Fixture.state(items: Fixture.items(2)))
        var made: [UInt8] = []
        func payload(_ state: TenantState, _ digest: String) -> [UInt8] {
            lists.payload(state, digest: digest) {
                made.append(UInt8(made.count))
                return [made.last!]
            }
        }
        #expect(payload(first, "") == [0] && payload(first, "") == [0])
        #expect(payload(first, "a") == [1] && payload(first, "") == [0])
        #expect(payload(second, "") == [2], "another state, another list")
        #expect(payload(second, "a") == [3] && payload(second, "") == [2])
        #expect(made.count == 4 && lists.count == 2)
    }

    @Test("however much is asked for, there are only so many, and what is asked for again and again stays")
    func bounded() {
        let lists = ColdLists(maximum: 8)
        let state = Fixture.state(items: Fixture.items(1))
        var made = 0
        for number in 0..<1_000 {
            _ = lists.payload(state, digest: "d\(number)") { [] }
            _ = lists.payload(state, digest: "") {
                made += 1
                return []
            }
            #expect(lists.count <= 8)
        }
        #expect(made == 1)
    }
}
