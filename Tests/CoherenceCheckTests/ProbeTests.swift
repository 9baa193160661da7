import LoadClient
import Testing

@testable import CoherenceCheck

@Suite("Probes and requests")
struct ProbeTests {
    @Test("a plan looks at once and after the bound, on every other node, in order of time")
    func plan() {
        for seed in 0..<50 as Range<UInt64> {
            var generator = SplitMix(seed: seed)
            let probes = Probe.plan(node: 2, others: [0, 1, 3], bound: .seconds(1), &generator)
            #expect(probes.map(\.offset) == probes.map(\.offset).sorted())
            #expect(probes.contains(Probe(offset: .zero, node: 2)))
            #expect(probes.filter(\.namesVersion).allSatisfy { $0.offset == .zero && $0.node != 2 })
            #expect(Set(probes.filter { $0.offset == .seconds(1) }.map(\.node)) == [0, 1, 3])
            #expect(probes.last?.offset == .seconds(2))
            let alone = Probe.plan(node: 0, others: [], bound: .seconds(1), &generator)
            #expect(alone.count >= 7 && alone.allSatisfy { $0.node == 0 })
        }
    }

    @Test("hostile ids are encoded where they stand")
    func requests() {
        let user = OpaqueID("a/b\"{x}\u{E9}")
        #expect(
            ListRequest.own(user).request(limit: 20, minimumVersion: 0).target
                == "/v1/recommendations/a%2Fb%22%7Bx%7D%C3%A9?limit=20"
        )
        #expect(
            ListRequest.batch([user]).request(limit: 5, minimumVersion: 9).body
                == #"{"requests":[{"user_id":"a/b\"{x}\#u{E9}","limit":5,"min_version":9}]}"#
        )
        #expect(
            ListRequest.list(.latest, user).request(limit: 5, minimumVersion: 9).target
                == "/v1/lists/latest?limit=5&user_id=a%2Fb%22%7Bx%7D%C3%A9"
        )
        #expect(
            ListRequest.similar(OpaqueID("?"), nil).request(limit: 5, minimumVersion: 0).target
                == "/v1/items/%3F/similar?limit=5"
        )
        let suppression = UserChange(.suppression, user, OpaqueID("i 1"), event: "e")
        #expect(suppression.request.target == "/v1/users/a%2Fb%22%7Bx%7D%C3%A9/suppressions/item/i%201")
        #expect(suppression.request.method == .put)
        #expect(suppression.undo?.target == suppression.request.target)
        #expect(suppression.undo?.method == .delete)
        let purchase = UserChange(.purchase, user, OpaqueID("i\"1"), event: "e")
        #expect(
            purchase.request.body
                == #"{"event_id":"e","user_id":"a/b\"{x}\#u{E9}","item_id":"i\"1","type":"purchase"}"#
        )
        #expect(purchase.undo == nil)
        #expect(UserChange(.consent, user, OpaqueID("i"), event: "e").item == nil)
    }

    @Test("a user is written by one at a time, and who is no use is not drawn again")
    func users() throws {
        var book = UserBook()
        let first = book.take(3, OpaqueID("u"))
        let taken = try #require(first)
        #expect(!taken.isKnown)
        let (second, other) = (book.take(3, OpaqueID("u")), book.take(4, OpaqueID("v")))
        #expect(second == nil)
        #expect(other != nil)
        book.release(taken, .free(isKnown: true))
        let third = book.take(3, OpaqueID("u"))
        let again = try #require(third)
        #expect(again.isKnown)
        book.release(again, .aside)
        let last = book.take(3, OpaqueID("u"))
        #expect(last == nil)
    }
}
