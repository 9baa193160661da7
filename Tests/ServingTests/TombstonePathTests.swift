import RecommendationCore
import Synchronization
import Testing
import VireoTestKit

@testable import Caching
@testable import Serving

/// A tombstone of any kind holds on every path that gives a list, from the moment it is applied until it expires.
@Suite("Tombstones on every path")
struct TombstonePathTests {
    /// A way to a list.
    enum Path: String, CaseIterable, CustomTestStringConvertible {
        case computed, filtered, l1, l2, immediate, batch, stale, everybodys, curated
        case similar, popular, trending, latest

        var testDescription: String { self.rawValue }

        /// The policy that leads there.
        func change(_ policy: inout Policy) {
            policy.softTTL = .seconds(10)
            policy.staticItems = (0..<20).map { Item.ID(trusted: "i\($0)") }
            policy.maximumPerWindow = 20
            switch self {
            case .everybodys: policy.fallback = [.popular]
            case .curated: policy.fallback = [.staticList]
            default: policy.fallback = [.stale, .popular, .staticList]
            }
        }
    }

    /// What denies item 0, and what else it denies.
    private static let kinds: [(kind: Tombstone.Kind, key: String, denied: Set<String>)] = [
        (.item, "i0", ["i0"]),
        (.creator, "creator-0", ["i0", "i3", "i6", "i9", "i12", "i15", "i18"]),
        (.category, "c0", ["i0", "i7", "i14"]),
        (.campaign, "sale", ["i0", "i5", "i10", "i15"]),
    ]

    @Test("it is in no list of the path, and the rest of the list is", arguments: Path.allCases)
    func holds(_ path: Path) async throws {
        for (kind, key, denied) in Self.kinds {
            let node = try await PolicyServingTests.Node(path.change)
            let before = try await Self.list(path, node)
            #expect(denied.isSubset(of: before), "\(kind): \(before)")
            let end = Timestamp(microseconds: Fixture.now.microseconds + 60_000_000)
            node.store.state.withLock { store in
                store.delta = ControlDelta(
                    incarnation: "a",
                    head: 2,
                    tenants: store.whole!.tenants,
                    tombstones: Fixture.all([Fixture.tombstone(kind, key, until: end)]),
                    keys: nil,
                    items: [],
                    itemPosition: 1
                )
            }
            _ = await node.keeper.readControl()
            node.store.state.withLock { $0.delta = ControlDelta(unchangedAt: 2) }
            #expect(try await Self.list(path, node) == before.subtracting(denied), "\(kind)")
            // Just before its end; a stale list is asked for when the clock has gone on.
            await Self.advance(node, to: path == .stale ? 48 : 59)
            #expect(try await Self.list(path, node).isDisjoint(with: denied), "\(kind)")
            // What was computed meanwhile holds until it expires.
            await Self.advance(node, to: 75)
            let after = try await Self.list(path, node)
            #expect(after == before, "\(kind): \(before.subtracting(after))")
        }
    }

    /// Lets the clock go on to so many seconds from the start, and what has expired be noticed.
    private static func advance(_ node: PolicyServingTests.Node, to seconds: Int64) async {
        let elapsed = node.clock.milliseconds - Fixture.now.microseconds / 1_000
        await node.later(.milliseconds(seconds * 1_000 - elapsed))
        _ = await node.keeper.readControl()
    }

    /// The ids of a list of all there is.
    private static func list(_ path: Path, _ node: PolicyServingTests.Node) async throws -> Set<String> {
        func own(_ user: String) async throws -> (Set<String>, Tier, Fallback?) {
            var request = RecommendationRequest(
                tenant: .default,
                user: User.ID(trusted: user),
                surface: "home",
                limit: 20
            )
            if path == .filtered {
                request.filters.categories = (0..<7).map { ItemCategory.ID(trusted: "c\($0)") }
            }
            let answer = try await node.service.recommend(request)
            return (Set(answer.items.map(\.item.string)), answer.tier, answer.fallback)
        }
        /// With the store of users away, from what is there without it.
        func away(_ expected: Fallback) async throws -> Set<String> {
            node.users.isAway = true
            defer { node.users.isAway = false }
            let (items, _, fallback) = try await own("ann")
            #expect(fallback == expected)
            return items
        }
        switch path {
        case .computed, .filtered:
            // Somebody who was not here before.
            let (items, tier, _) = try await own("user-\(node.users.reads)")
            #expect(tier == .computed)
            return items
        case .l1:
            _ = try await own("ann")
            let (items, tier, _) = try await own("ann")
            #expect(tier == .l1)
            return items
        case .l2:
            _ = try await own("ann")
            node.keeper.local.invalidate(node.key("ann"), below: .max)
            let (items, tier, _) = try await own("ann")
            #expect(tier == .l2)
            return items
        case .immediate:
            _ = try await own("ann")
            let standing = try #require(node.service.standNow())
            let workspace = ImmediateWorkspace()
            let request = ImmediateRequest(user: User.ID(trusted: "ann"), surface: "home", limit: 20)
            guard
                case .answer(let answer) = node.service.recommendNow(
                    request,
                    tenant: .default,
                    standing: standing,
                    in: workspace
                )
            else {
                Issue.record("no immediate answer")
                return []
            }
            return Set(workspace.slate.places.map { answer.state.catalog[$0.item]!.id.string })
        case .batch:
            let request = RecommendationRequest(
                tenant: .default,
                user: User.ID(trusted: "ann"),
                surface: "home",
                limit: 20
            )
            let answers = try await node.service.recommend([request], tenant: .default)
            return Set(try answers[0].get().items.map(\.item.string))
        case .similar:
            let request = SimilarRequest(tenant: .default, item: Item.ID(trusted: "i1"), surface: "home", limit: 20)
            return Set(try await node.lists.similar(request).items.map(\.item.string))
        case .popular, .trending, .latest:
            let request = ListRequest(tenant: .default, kind: ListKind(rawValue: path.rawValue)!, limit: 20)
            return Set(try await node.lists.list(request).items.map(\.item.string))
        case .stale:
            _ = try await own("ann")
            await node.later(.seconds(11))
            return try await away(.stale)
        case .everybodys: return try await away(.popular)
        case .curated: return try await away(.staticList)
        }
    }
}

extension PolicyServingTests.Node {
    /// The cache key of a user.
    fileprivate func key(_ user: String) -> CacheKey {
        CacheKey(namespace: "a", owner: Tenant.ID.default.string, member: user)
    }
}
