import RecommendationCore
import Testing
import VireoTestKit

@testable import Caching
@testable import Serving

/// Who does not want to be personalised gets what everybody gets, but for what they suppress, and nothing of theirs is kept.
@Suite("Without consent, on every path")
struct ConsentPathTests {
    /// Not those to what is kept of a user: nothing is.
    private static let paths = ListPath.allCases.filter { ![.l1, .l2, .immediate, .stale, .precomputed].contains($0) }

    @Test("no history, no entry in either tier, each request computed anew; suppressions hold", arguments: paths)
    func nothingKept(_ path: ListPath) async throws {
        let node = try await PolicyServingTests.Node(path.change)
        let key = node.key(User.ID(trusted: "ann"))
        node.users.allows(false)
        node.users.suppresses([Suppression(kind: .item, key: Identifier(trusted: "i2"))])
        for _ in 0..<3 {
            let before = node.users.reads
            let items = try await path.items(node)
            #expect(items.contains("i2") != path.knowsUser)
            // What was clicked would be left out, were the history known.
            if path != .session { #expect(items.contains("i19")) }
            if path.knowsUser { #expect(node.users.reads > before, "asked anew") }
            #expect(node.keeper.local.hits(of: key).isEmpty)
            #expect(!node.shared.calls.contains("fill"))
        }
        #expect(node.keeper.local.usage.entries == 0)
    }

    @Test("with consent again there is a list of their own, and it is kept")
    func consentedAgain() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        let user = User.ID(trusted: "ann")
        node.users.suppresses([Suppression(kind: .item, key: Identifier(trusted: "i2"))])
        node.users.allows(false)
        #expect(try await ListPath.computed.answer(node).fallback == .coldStart)
        node.users.allows(true)
        let own = try await ListPath.computed.answer(node)
        #expect(own.fallback == nil && !own.places.map(\.id).contains("i19") && !own.places.map(\.id).contains("i2"))
        #expect(node.keeper.local.hits(of: node.key(user)).count == 1)
        #expect(try await ListPath.l1.answer(node).tier == .l1)
    }
}
