import Logging
import RecommendationCore
import Synchronization
import Testing
import VireoTestKit

@testable import Serving

/// What is told to have been shown is believed by its tokens, and nothing else costs the store anything.
@Suite("Impressions")
struct ImpressionServingTests {
    /// A store that knows items i0 to i19.
    final class Store: ImpressionRepository {
        private let calls = Mutex<[[Impression]]>([])

        var recorded: [[Impression]] { self.calls.withLock { $0 } }

        func record(
            _ impressions: [Impression],
            tenant: Tenant.ID
        ) async throws(RepositoryError) -> [ImpressionOutcome] {
            self.calls.withLock { calls in
                let known = Set(calls.flatMap { $0 }.map { "\($0.attribution.recommendationID) \($0.number)" })
                calls.append(impressions)
                return impressions.map { impression in
                    if impression.number > 19 { return .unknownItem }
                    let name = "\(impression.attribution.recommendationID) \(impression.number)"
                    return known.contains(name) ? .duplicate : .stored
                }
            }
        }

        func shown(
            to user: User.ID,
            since time: Timestamp,
            tenant: Tenant.ID
        ) async throws(RepositoryError) -> [ShownItem] { [] }

        func prune(before time: Timestamp) async throws(RepositoryError) -> Bool { false }
    }

    private let node: PolicyServingTests.Node
    private let store = Store()
    private let signer = TokenSigner(Fixture.keys)

    init() async throws {
        self.node = try await PolicyServingTests.Node { _ in }
    }

    private func service(_ signer: TokenSigner? = nil) -> ImpressionService {
        let clock = self.node.clock
        return ImpressionService(
            repository: self.store,
            control: self.node.control,
            signer: signer ?? self.signer,
            quality: QualityMetrics(),
            caps: self.node.context.caps,
            log: Logger(label: "test"),
            wallClock: { Timestamp(microseconds: clock.milliseconds * 1_000) }
        )
    }

    private func slate() async throws -> Recommendation {
        try await self.node.service.recommend(
            RecommendationRequest(tenant: .default, user: User.ID(trusted: "ann"), surface: "home", limit: 5)
        )
    }

    private func request(_ slate: Recommendation) -> ImpressionRequest {
        ImpressionRequest(
            id: slate.id,
            items: slate.items.map { ImpressionRequest.Shown(item: $0.item, trackingToken: $0.trackingToken) }
        )
    }

    @Test("the items of an answer are stored with all that their tokens say, once")
    func whole() async throws {
        let slate = try await self.slate()
        #expect(slate.items.count == 5)
        let request = self.request(slate)
        #expect(try await self.service().record(request, tenant: .default) == ImpressionAnswer(accepted: 5))
        let stored = try #require(self.store.recorded.first)
        for (item, impression) in zip(slate.items, stored) {
            #expect(impression.item == item.item && impression.user == User.ID(trusted: "ann"))
            #expect(
                impression.attribution
                    == Attribution(
                        recommendationID: slate.id.bytes,
                        position: item.rank,
                        source: Attribution.Source(model: 1, policy: "p8", variant: "", surface: "home")
                    )
            )
        }
        var twice = request
        twice.items.append(request.items[0])
        #expect(try await self.service().record(twice, tenant: .default) == ImpressionAnswer(duplicates: 6))
    }

    @Test("a list says its name, and nobody's is nobody's")
    func lists() async throws {
        let list = try await self.node.lists.list(ListRequest(tenant: .default, kind: .popular, limit: 2))
        let shown = list.items.map { ImpressionRequest.Shown(item: $0.item, trackingToken: $0.trackingToken) }
        let request = ImpressionRequest(id: try #require(list.id), items: shown)
        #expect(try await self.service().record(request, tenant: .default).accepted == 2)
        let stored = try #require(self.store.recorded.first?.first)
        #expect(stored.user == nil && stored.attribution.source?.surface == "popular")
    }

    @Test("a bad token is told with its place, and the others are stored")
    func mixed() async throws {
        let (slate, other) = (try await self.slate(), try await self.slate())
        var request = self.request(slate)
        let tokens = request.items.map(\.trackingToken)
        func shown(_ item: Int, _ token: String) -> ImpressionRequest.Shown {
            ImpressionRequest.Shown(item: slate.items[item].item, trackingToken: token)
        }
        request.items = [
            shown(0, tokens[0]), shown(1, tokens[2]), shown(2, "v2.k1.nonsense"),
            shown(3, other.items[3].trackingToken),
            shown(4, tokens[4]), shown(1, tokens[1] + "A"), shown(1, tokens[1].replacing(".k1.", with: ".k9.")),
        ]
        let answer = try await self.service().record(request, tenant: .default)
        #expect(answer.accepted == 2)
        #expect(answer.rejected.map(\.index) == [1, 2, 3, 5, 6])
        #expect(answer.rejected.map(\.code) == Array(repeating: "invalid_token", count: 4) + ["unknown_key"])
        #expect(answer.rejected.allSatisfy { $0.field == "tracking_token" && $0.allowed != nil })
    }

    @Test("tokens that are forged, of another tenant, of a removed key or too old cost no store anything")
    func forged() async throws {
        let slate = try await self.slate()
        let request = self.request(slate)
        let removed = self.service(TokenSigner(try SigningKeys(parsing: SigningKeys.generate(id: "k2"))))
        let late = try await removed.record(request, tenant: .default)
        #expect(late.rejected.map(\.code) == Array(repeating: "unknown_key", count: 5))
        let forged = self.service(TokenSigner(try SigningKeys(parsing: SigningKeys.generate(id: "k1"))))
        #expect(
            try await forged.record(request, tenant: .default).rejected.map(\.code)
                == Array(repeating: "invalid_token", count: 5)
        )
        #expect(try await self.service().record(request, tenant: Tenant.ID(trusted: "acme")).rejected.count == 5)
        var foreign = request
        foreign.id = RecommendationID(high: slate.id.high, low: slate.id.low ^ 1)
        #expect(try await self.service().record(foreign, tenant: .default).rejected.count == 5)
        await self.node.later(.seconds(30 * 86_400 + 1))
        let old = try await self.service().record(request, tenant: .default)
        #expect(old.rejected.map(\.code) == Array(repeating: "expired_token", count: 5))
        #expect(old.rejected[0].allowed == "a token of the last 30 days")
        #expect(self.store.recorded.isEmpty)
    }

    @Test("an item that the store does not know is rejected at its place")
    func unknownItem() async throws {
        let id = RecommendationID(milliseconds: self.node.clock.milliseconds, random: (1, 2))
        let origin = SlateOrigin(user: User.ID(trusted: "ann"), model: 1, surface: "home", policy: "p8", variant: "")
        let items = [(Item.Number(19), "i19"), (77, "gone")].map { number, name in
            ImpressionRequest.Shown(
                item: Item.ID(trusted: name),
                trackingToken: self.signer.sign(
                    TrackingToken(recommendationID: id, rank: 1, item: number, origin: origin),
                    tenant: .default
                )
            )
        }
        let answer = try await self.service().record(ImpressionRequest(id: id, items: items), tenant: .default)
        #expect(
            answer
                == ImpressionAnswer(
                    accepted: 1,
                    rejected: [FeedbackRejection(index: 1, code: "unknown_item", field: "item_id", allowed: nil)]
                )
        )
    }
}
