import RecommendationCore
import Synchronization
import Testing
import VireoTestKit

@testable import Caching
@testable import Serving

/// A tombstone of any kind holds on every path that gives a list, from the moment it is applied until it expires.
@Suite("Tombstones on every path")
struct TombstonePathTests {
    /// What denies item 0, and what else it denies.
    private static let kinds: [(kind: Tombstone.Kind, key: String, denied: Set<String>)] = [
        (.item, "i0", ["i0"]),
        (.creator, "creator-0", ["i0", "i3", "i6", "i9", "i12", "i15", "i18"]),
        (.category, "c0", ["i0", "i7", "i14"]),
        (.campaign, "sale", ["i0", "i5", "i10", "i15"]),
    ]

    @Test("it is in no list of the path, and the rest of the list is", arguments: ListPath.allCases)
    func holds(_ path: ListPath) async throws {
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
    private static func list(_ path: ListPath, _ node: PolicyServingTests.Node) async throws -> Set<String> {
        Set(try await path.items(node, user: path.isOnSurface && path != .similar ? "ann" : nil))
    }
}
