import RecommendationCore
import Synchronization
import Testing

@testable import Caching
@testable import Serving

@Suite("Why an item is in a list, or is not")
struct ExplainTests {
    /// Of the twenty items i0 is the most popular; the user has clicked i19.
    private static func explain(
        _ node: PolicyServingTests.Node,
        _ item: String,
        limit: Int = 5,
        _ change: (inout RecommendationRequest) -> Void = { _ in }
    ) async throws -> ItemExplanation {
        var request = RecommendationRequest(
            tenant: .default,
            user: User.ID(trusted: "ann"),
            surface: "home",
            limit: limit
        )
        change(&request)
        return try await node.service.explain(Item.ID(trusted: item), to: request)
    }

    @Test("every item of a list has the rank, the score and the components that the list says, and no other is in it")
    func shown() async throws {
        let node = try await PolicyServingTests.Node {
            $0.boosts = [Policy.Boost(factor: 2, when: .creators([ItemExpression.Text(trusted: "creator-1")]))]
        }
        let list = try await node.ask(limit: 5)
        #expect(list.items.count == 5)
        for number in 0..<20 {
            let explanation = try await Self.explain(node, "i\(number)")
            let place = list.items.first { $0.item.string == "i\(number)" }
            #expect(explanation.rank == place?.rank)
            #expect((explanation.removedBy == nil) == (place != nil))
            if let place {
                let candidacy = try #require(explanation.candidacy)
                #expect(candidacy.score == place.score && candidacy.collaborative == place.collaborative)
                #expect(candidacy.content == place.content && candidacy.popularity == place.popularity)
            }
        }
    }

    /// Why not, with what makes it so.
    enum Case: CaseIterable {
        case tombstone, unavailable, eligibility, filter, excluded, suppressed, suppressedWithoutConsent, seen,
            diversity
        case limit, unseenAllowed
    }

    @Test("the rule that keeps an item out is named", arguments: Case.allCases)
    func removal(_ reason: Case) async throws {
        let node = try await PolicyServingTests.Node(items: { item in
            if reason == .unavailable, item.id.string == "i2" { item.inStock = false }
            if reason == .diversity { item.categories = [item.id.string == "i3" ? "other" : "same"] }
        }) { policy in
            policy.maximumPerWindow = reason == .diversity ? 1 : 20
            policy.window = 20
            if reason == .eligibility {
                policy.eligibility = .not(.creators([ItemExpression.Text(trusted: "creator-2")]))
            }
        }
        var item = "i2"
        let expected: ItemExplanation.Removal?
        var change: (inout RecommendationRequest) -> Void = { _ in }
        switch reason {
        case .tombstone:
            node.store.state.withLock { store in
                store.delta = ControlDelta(unchangedAt: 2)
                store.delta.tenants = store.whole!.tenants
                store.delta.tombstones = Fixture.all([Fixture.tombstone(.item, "i2")])
            }
            _ = await node.keeper.readControl()
            expected = .tombstone
        case .unavailable: expected = .unavailable
        case .eligibility: expected = .policy
        case .filter:
            change = { $0.filters.excludedCategories = [ItemCategory.ID(trusted: "c2")] }
            expected = .policy
        case .excluded:
            change = { $0.filters.excludedItems = [Item.ID(trusted: "i2")] }
            expected = .policy
        case .suppressed, .suppressedWithoutConsent:
            node.users.suppresses([Suppression(kind: .item, key: Identifier(trusted: "i2"))])
            node.users.allows(reason == .suppressed)
            expected = reason == .suppressed ? .suppressed : .withheld
        case .seen:
            item = "i19"
            expected = .seen
        case .unseenAllowed:
            // Asked for, what was seen may be in it; this one is the least of all.
            item = "i19"
            change = {
                $0.filters.excludesSeen = false
                $0.limit = 20
            }
            expected = nil
        case .diversity: expected = .diversity
        case .limit:
            item = "i18"
            expected = .limit
        }
        let explanation = try await Self.explain(node, item, change)
        #expect(explanation.removedBy == expected)
        #expect((explanation.rank == nil) == (expected != nil))
    }

    @Test("what the model does not bring up is no candidate, and what the catalogue does not hold is unknown")
    func notACandidate() async throws {
        let node = try await PolicyServingTests.Node { $0.poolSize = 10 }
        let explanation = try await Self.explain(node, "i17")
        #expect(explanation.removedBy == .notACandidate && explanation.candidacy == nil)
        #expect(explanation.candidates >= 10)
        let pinned = try await PolicyServingTests.Node {
            $0.poolSize = 10
            $0.pins = [Policy.Pin(item: Item.ID(trusted: "i17"), position: 8)]
        }
        #expect(try await Self.explain(pinned, "i17").removedBy == .limit, "its place is behind so short a list")
        #expect(try await Self.explain(pinned, "i17", limit: 8).rank == 8)
        await #expect(throws: ServingError.unknownItem) { try await Self.explain(node, "nothing") }
        node.users.isAway = true
        await #expect(throws: ServingError.storeUnavailable) { try await Self.explain(node, "i1") }
    }

    @Test("what was shown as often as a cap allows is said, and asking reserves nothing")
    func capped() async throws {
        let node = try await PolicyServingTests.Node {
            $0.frequencyCaps = [Policy.FrequencyCap(surface: nil, maximum: 1, window: .seconds(3_600))]
        }
        let first = try await node.ask(limit: 3)
        for place in first.items {
            let explanation = try await Self.explain(node, place.item.string, limit: 3)
            #expect(explanation.removedBy == .frequencyCap && explanation.rank == nil)
        }
        for _ in 0..<3 { #expect(try await Self.explain(node, "i9", limit: 20).rank != nil) }
        node.counters.isAway = true
        let away = try await Self.explain(node, "i9", limit: 20)
        #expect(away.removedBy == .frequencyCap && away.list.degraded.contains(.frequencyCap))
    }
}
