import RecommendationCore
import Testing
import VireoTestKit

@testable import Caching
@testable import Serving

/// A way to a list.
enum ListPath: String, CaseIterable, CustomTestStringConvertible {
    case computed, filtered, paged, l1, l2, immediate, batch, stale, precomputed, everybodys, curated, session
    case sessionWithoutStore
    case similar, popular, trending, latest

    /// A list that came by a path.
    struct Answer {
        struct Place {
            let id: String
            let score: Float
            /// Their sum.
            let components: Float
        }

        let places: [Place]
        let policy: String
        let tier: Tier?
        let fallback: Fallback?
    }

    var testDescription: String { self.rawValue }

    /// Whether it leads to one of the policy's surfaces.
    var isOnSurface: Bool { ![.popular, .trending, .latest].contains(self) }

    /// Whether what is stored of the user is known on it; the list that is precomputed here is of one without labels.
    var knowsUser: Bool { ![.precomputed, .everybodys, .curated, .sessionWithoutStore].contains(self) }

    /// The policy that leads there.
    func change(_ policy: inout Policy) {
        policy.softTTL = .seconds(10)
        policy.staticItems = (0..<20).map { Item.ID(trusted: "i\($0)") }
        policy.maximumPerWindow = 20
        policy.window = 20
        switch self {
        case .everybodys, .sessionWithoutStore: policy.fallback = [.popular]
        case .curated: policy.fallback = [.staticList]
        case .precomputed: policy.fallback = [.precomputed]
        default: policy.fallback = [.stale, .popular, .staticList]
        }
    }

    /// The ids of a list, of all there is where no limit is named.
    func items(
        _ node: PolicyServingTests.Node,
        surface: String = "home",
        user: String? = "ann",
        limit: Int = 20
    ) async throws -> [String] {
        try await self.answer(node, surface: surface, user: user, limit: limit).places.map(\.id)
    }

    func slate(_ node: PolicyServingTests.Node) async throws -> [Answer.Place] { try await self.answer(node).places }

    /// - Parameter user: nil: where a user of their own is not needed, nobody is named.
    func answer(
        _ node: PolicyServingTests.Node,
        surface: String = "home",
        user: String? = "ann",
        limit: Int = 20
    ) async throws -> Answer {
        let named = User.ID(trusted: user ?? "ann")
        func request(_ user: User.ID) -> RecommendationRequest {
            RecommendationRequest(tenant: .default, user: user, surface: surface, limit: limit)
        }
        func own(_ user: User.ID) async throws -> Answer {
            var request = request(user)
            if self == .filtered { request.filters.categories = (0..<7).map { ItemCategory.ID(trusted: "c\($0)") } }
            return Answer(try await node.service.recommend(request))
        }
        /// With the store of users away, from what is there without it.
        func away(_ expected: Fallback, _ ask: () async throws -> Answer) async throws -> Answer {
            node.users.isAway = true
            defer { node.users.isAway = false }
            let answer = try await ask()
            #expect(answer.fallback == expected)
            return answer
        }
        switch self {
        case .computed, .filtered:
            // Whatever was cached of them is not served any more.
            node.forget(named)
            let answer = try await own(named)
            #expect(answer.tier == .computed)
            return answer
        case .paged:
            // Page after page, of sizes that differ, until there are as many as one list would have.
            var (places, page): ([Answer.Place], RecommendationRequest.Page) = ([], .first)
            var last: Recommendation?
            while places.count < limit {
                var part = request(named)
                part.page = page
                part.limit = min(limit - places.count, 1 + places.count % 4)
                let answer = try await node.service.recommend(part)
                #expect(answer.items.map(\.rank) == Array(places.count + 1..<places.count + 1 + answer.items.count))
                places += answer.items.map(Answer.Place.init)
                last = answer
                guard let cursor = answer.nextCursor else { break }
                page = .next(cursor)
            }
            return Answer(places: places, policy: last!.policyVersion, tier: last!.tier, fallback: last!.fallback)
        case .l1:
            _ = try await own(named)
            let answer = try await own(named)
            #expect(answer.tier == .l1)
            return answer
        case .l2:
            _ = try await own(named)
            node.keeper.local.invalidate(node.key(named), below: .max)
            let answer = try await own(named)
            #expect(answer.tier == .l2)
            return answer
        case .immediate:
            _ = try await own(named)
            let standing = try #require(node.service.standNow())
            let workspace = ImmediateWorkspace()
            let outcome = node.service.recommendNow(
                ImmediateRequest(user: named, surface: surface, limit: limit),
                tenant: .default,
                standing: standing,
                in: workspace
            )
            guard case .answer(let answer) = outcome else { throw Missing() }
            return Answer(
                places: workspace.slate.places.map { place in
                    Answer.Place(
                        id: answer.state.catalog[place.item]!.id.string,
                        score: place.score,
                        components: place.collaborative + place.content + place.popularity
                    )
                },
                policy: answer.recommendation.policyVersion,
                tier: answer.recommendation.tier,
                fallback: answer.recommendation.fallback
            )
        case .batch:
            return Answer(try await node.service.recommend([request(named)], tenant: .default)[0].get())
        case .stale:
            _ = try await own(named)
            await node.later(.seconds(11))
            return try await away(.stale) { try await own(named) }
        case .precomputed:
            node.precomputed.has([try PrecomputedServingTests.list(node, of: named.string, surface: surface)])
            return try await away(.precomputed) { try await own(named) }
        case .everybodys: return try await away(.popular) { try await own(named) }
        case .curated: return try await away(.staticList) { try await own(named) }
        case .session, .sessionWithoutStore:
            let kept = SessionServingTests.Kept()
            let sessions = SessionService(node.context, sessions: kept, interactions: kept)
            let event = SessionRequest.Event(item: Item.ID(trusted: "i19"), type: .view, value: 1, occurredAt: nil)
            func ask() async throws -> Answer {
                Answer(
                    try await sessions.recommend(
                        SessionRequest(request(named), session: Session.ID(trusted: "s1"), events: [event])
                    )
                )
            }
            return self == .session ? try await ask() : try await away(.popular, ask)
        case .similar:
            return Answer(
                try await node.lists.similar(
                    SimilarRequest(
                        tenant: .default,
                        item: Item.ID(trusted: "i1"),
                        surface: surface,
                        user: user.map { User.ID(trusted: $0) },
                        limit: limit
                    )
                )
            )
        case .popular, .trending, .latest:
            return Answer(
                try await node.lists.list(
                    ListRequest(
                        tenant: .default,
                        kind: ListKind(rawValue: self.rawValue)!,
                        user: user.map { User.ID(trusted: $0) },
                        limit: limit
                    )
                )
            )
        }
    }

    /// There was no answer at once.
    struct Missing: Error {}
}

extension ListPath.Answer {
    init(_ answer: Recommendation) {
        self.init(
            places: answer.items.map(Place.init),
            policy: answer.policyVersion,
            tier: answer.tier,
            fallback: answer.fallback
        )
    }

    init(_ list: ItemList) {
        self.init(places: list.items.map(Place.init), policy: list.policyVersion, tier: nil, fallback: list.fallback)
    }
}

extension ListPath.Answer.Place {
    init(_ item: RecommendedItem) {
        self.init(
            id: item.item.string,
            score: item.score,
            components: item.collaborative + item.content + item.popularity
        )
    }
}

extension PolicyServingTests.Node {
    /// The cache key of a user.
    func key(_ user: User.ID) -> CacheKey {
        CacheKey(namespace: "a", owner: Tenant.ID.default.string, member: user.string)
    }

    /// Drops what L1 and L2 hold of a user.
    func forget(_ user: User.ID) {
        self.keeper.local.invalidate(self.key(user), below: .max)
        self.shared.lose(self.key(user))
    }
}
