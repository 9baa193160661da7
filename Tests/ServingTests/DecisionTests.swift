import Logging
import RecommendationCore
import Synchronization
import Testing

@testable import Serving

/// What a recommendation was made of is recorded, and gives it again.
@Suite("Decision records")
struct DecisionTests {
    private typealias Node = PolicyServingTests.Node

    /// Records as they would be stored.
    final class Records: DecisionRepository, Sendable {
        let stored = Mutex<[StoredDecision]>([])
        let isAway = Mutex(false)
        /// The one that is never taken.
        let refused = Mutex<[UInt8]>([])
        /// What documents stand for.
        let decisions = Mutex<[Decision]>([])

        /// Documents that are the places of decisions among those here, and name the user.
        var codec: DecisionCodec {
            DecisionCodec(
                encode: { record in
                    let place = self.decisions.withLock { decisions in
                        decisions.append(record.decision)
                        return decisions.count - 1
                    }
                    return "\(place) \(record.answer.user?.string ?? "nobody")"
                },
                decode: { document in
                    document.split(separator: " ").first.flatMap { Int($0) }.map { place in
                        self.decisions.withLock { $0[place] }
                    }
                }
            )
        }

        func store(_ decisions: [StoredDecision], tenant: Tenant.ID) async throws(RepositoryError) -> Int {
            if self.isAway.withLock({ $0 }) { throw .unavailable("away") }
            let refused = self.refused.withLock { $0 }
            if decisions.contains(where: { $0.recommendationID == refused }) { throw .failed("told to") }
            self.stored.withLock { $0 += decisions }
            return decisions.count
        }

        func decision(_ id: [UInt8], tenant: Tenant.ID) async throws(RepositoryError) -> StoredDecision? {
            self.stored.withLock { $0.first { $0.recommendationID == id } }
        }

        func prune(before time: Timestamp) async throws(RepositoryError) -> Bool { false }
    }

    private static func log(_ records: Records) -> DecisionLog {
        DecisionLog(repository: records, codec: records.codec, log: Logger(label: "test"))
    }

    /// Rules of many kinds, at random.
    private static func change(_ policy: inout Policy, _ random: inout SeededGenerator) {
        policy.recordedPercent = 100
        policy.window = Int.random(in: 2...10, using: &random)
        policy.maximumPerWindow = Int.random(in: 0...policy.window, using: &random)
        policy.seenFilter = Bool.random(using: &random)
        if Bool.random(using: &random) {
            policy.creatorCap = Policy.DiversityCap(maximum: 1, window: Int.random(in: 2...4, using: &random))
        }
        if Bool.random(using: &random) { policy.marginalRelevance = Double.random(in: 0...1, using: &random) }
        let creators = (0..<3).map { ItemExpression.creators([ItemExpression.Text(trusted: "creator-\($0)")]) }
        if Bool.random(using: &random) {
            policy.boosts = [
                Policy.Boost(factor: 3.3, when: creators[0]), Policy.Boost(factor: 0.1, when: creators[1]),
            ]
        }
        if Bool.random(using: &random) { policy.eligibility = .not(creators[2]) }
        if Bool.random(using: &random) {
            policy.pins = [(16, 1), (3, 3), (11, 4)].map { Policy.Pin(item: Item.ID(trusted: "i\($0)"), position: $1) }
        }
        if Bool.random(using: &random) { policy.exploration = Policy.Exploration(share: 0.3, maximumAgeDays: 365) }
    }

    @Test(
        "on every path the record holds the answer's order and sums, and making it again gives them",
        arguments: ListPath.allCases,
        1...6
    )
    func everyPath(_ path: ListPath, _ seed: UInt64) async throws {
        let records = Records()
        let log = Self.log(records)
        var random = SeededGenerator(seed: seed)
        let node = try await Node(decisions: log) { policy in
            path.change(&policy)
            Self.change(&policy, &random)
            if path != .immediate, seed % 2 == 0 {
                policy.frequencyCaps = [Policy.FrequencyCap(surface: nil, maximum: 2, window: .seconds(86_400))]
            }
        }
        for _ in 0..<3 {
            records.stored.withLock { $0 = [] }
            let answer = try await path.answer(node, limit: 8)
            #expect(await log.flush())
            let stored = records.stored.withLock { $0 }
            #expect(Set(stored.map(\.recommendationID)).count == stored.count)
            let decisions = try stored.map { try #require(records.codec.decode($0.document)) }
            for decision in decisions { #expect(decision.replayed() == decision.order) }
            // The last is what the path led to; of a list that is paged through, all of them together.
            let order = path == .paged ? decisions.flatMap(\.order) : try #require(decisions.last).order
            #expect(order.map(\.item.string) == answer.places.map(\.id))
            #expect(order.map(\.score) == answer.places.map(\.score))
            #expect(!order.isEmpty || seed % 2 == 0)
        }
    }

    @Test("creators whose names differ in bytes alone are two, when it is made again, too")
    func equivalentCreators() async throws {
        let records = Records()
        let log = Self.log(records)
        let node = try await Node(
            items: { item in
                let number = Int(item.id.string.dropFirst()) ?? 0
                item.creator = number % 2 == 0 ? "caf\u{E9}" : "cafe\u{301}"
            },
            decisions: log
        ) { policy in
            policy.recordedPercent = 100
            policy.maximumPerWindow = 0
            policy.creatorCap = Policy.DiversityCap(maximum: 1, window: 2)
        }
        let answer = try await node.ask()
        #expect(await log.flush())
        let stored = try #require(records.stored.withLock { $0 }.first)
        let decision = try #require(records.codec.decode(stored.document))
        #expect(answer.items.count > 3 && decision.replayed() == decision.order)
        #expect(decision.order.map(\.item) == answer.items.map(\.item))
    }

    @Test("what has a place by the policy and would else be tried out says the same score when it is made again")
    func pinnedAndTried() throws {
        var policy = Policy.builtIn
        policy.exploration = Policy.Exploration(share: 0.5, maximumAgeDays: 365)
        policy.boosts = [
            Policy.Boost(factor: 3, when: .creators([ItemExpression.Text(trusted: "creator-0")]))
        ]
        policy.pins = [Policy.Pin(item: Item.ID(trusted: "i9"), position: 1)]
        let state = Fixture.state(items: Fixture.items(12), policy: policy)
        var pool = Fixture.pool(8)
        pool.tried = [9, 10].map { number in
            CandidatePool.Candidate(
                item: number,
                collaborative: 0,
                content: 200,
                popularity: 0,
                seed: CandidatePool.noSeed
            )
        }
        let workspace = SlateWorkspace(isTracing: true)
        PoolCodec.encode(pool).withUnsafeBytes { bytes in
            let builder = SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now)
            _ = builder.choose(6, of: PoolView(bytes)!, into: workspace)
        }
        let trace = try #require(workspace.takeTrace())
        let answer = Recommendation(
            RecommendationID(high: 1, low: 2),
            user: nil,
            surface: "home",
            state: state,
            now: Fixture.now
        )
        let decision = DecisionDraft(.own, answer, .none, state, trace).record.decision
        #expect(decision.order.first == Decision.Place(item: Item.ID(trusted: "i9"), score: 0))
        #expect(decision.order.contains { $0.item.string == "i10" } && decision.replayed() == decision.order)
    }

    @Test("what is changed in a record does not give the order again: the replay looks at all of it")
    func changed() async throws {
        let records = Records()
        let log = Self.log(records)
        let node = try await Node(decisions: log) { policy in
            policy.recordedPercent = 100
            policy.boosts = [
                Policy.Boost(factor: 3, when: .creators([ItemExpression.Text(trusted: "creator-1")]))
            ]
            policy.pins = [Policy.Pin(item: Item.ID(trusted: "i16"), position: 2)]
        }
        _ = try await node.ask()
        #expect(await log.flush())
        let stored = try #require(records.stored.withLock { $0 }.first)
        let decision = try #require(records.codec.decode(stored.document))
        #expect(decision.replayed() == decision.order && decision.order[1].item.string == "i16")
        func differs(_ change: (inout Decision) -> Void) -> Bool {
            var changed = decision
            change(&changed)
            return changed.replayed() != decision.order
        }
        let first = try #require(decision.candidates.firstIndex { $0.item == decision.order[0].item })
        let pin = try #require(decision.candidates.firstIndex { $0.item.string == "i16" })
        #expect(differs { $0.candidates[first].removedBy = .tombstone })
        #expect(differs { $0.candidates[first].factor = 0.01 })
        #expect(differs { $0.candidates[first].collaborative += 0.01 })
        #expect(differs { $0.candidates[pin].standing = .pinned(place: 0) })
        #expect(differs { $0.rules.limit -= 1 })
        #expect(differs { $0.rules.creatorCap = Policy.DiversityCap(maximum: 1, window: 3) })
        #expect(differs { $0.rules.isBoosted = false })
        let removed = decision.candidates.filter { $0.removedBy != nil }
        #expect(removed.allSatisfy { $0.removedBy == .seen }, "the history is all that is left out")
    }

    @Test("as large a part is recorded as the policy says, and none without it")
    func part() async throws {
        for (percent, expected) in [(0.0, 0...0), (25, 60...140), (100, 400...400)] {
            let records = Records()
            let log = Self.log(records)
            let node = try await Node(decisions: log) { $0.recordedPercent = percent }
            for place in 0..<400 {
                _ = try await node.ask()
                if place % 50 == 0 { _ = await log.flush() }
            }
            _ = await log.flush()
            #expect(expected.contains(records.stored.withLock { $0.count }))
        }
    }

    @Test("while the store is away records wait, as many as there is room for, and no answer does")
    func away() async throws {
        let records = Records()
        let log = Self.log(records)
        let node = try await Node(decisions: log) { $0.recordedPercent = 100 }
        records.isAway.withLock { $0 = true }
        for _ in 0..<1_100 { _ = try await node.ask() }
        #expect(await log.flush() == false)
        records.isAway.withLock { $0 = false }
        #expect(await log.flush())
        #expect(records.stored.withLock { $0.count } == 1_000)
    }

    @Test("one that the store never takes is dropped, and all others are stored")
    func neverTaken() async throws {
        let records = Records()
        let log = Self.log(records)
        let node = try await Node(decisions: log) { $0.recordedPercent = 100 }
        for place in 0..<60 {
            let answer = try await node.ask()
            if place == 7 { records.refused.withLock { $0 = answer.id.bytes } }
        }
        #expect(await log.flush())
        #expect(records.stored.withLock { $0.count } == 59)
    }

    @Test("the record of a session names none of its events", arguments: [ListPath.session, .sessionWithoutStore])
    func session(_ path: ListPath) async throws {
        let records = Records()
        let log = Self.log(records)
        let node = try await Node(decisions: log) { policy in
            path.change(&policy)
            policy.recordedPercent = 100
        }
        _ = try await path.answer(node, limit: 8)
        #expect(await log.flush())
        let stored = try #require(records.stored.withLock { $0 }.last)
        let decision = try #require(records.codec.decode(stored.document))
        #expect(!decision.candidates.isEmpty && decision.candidates.allSatisfy { $0.seed == nil })
    }

    @Test("of whom nothing is known the record names nobody")
    func unknown() async throws {
        let records = Records()
        let log = Self.log(records)
        let node = try await Node(decisions: log) { $0.recordedPercent = 100 }
        node.users.has([])
        _ = try await node.ask()
        #expect(await log.flush())
        let stored = try #require(records.stored.withLock { $0 }.first)
        #expect(stored.userVersion > 0 || stored.user == nil)
        #expect(stored.user != nil || stored.document.hasSuffix(" nobody"))
    }
}
