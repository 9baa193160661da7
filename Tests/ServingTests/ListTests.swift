import RecommendationCore
import RecommendationEngine
import Testing

@testable import Serving

@Suite("Lists")
struct ListTests {
    /// A state whose model was fitted on `rows`: user, item, hours before the newest.
    private func state(
        _ rows: [(user: UInt32, item: UInt32, hours: Int64)],
        items: [NumberedItem],
        tombstones: [ListedTombstone] = []
    ) throws -> TenantState {
        var columns = InteractionColumns()
        for row in rows {
            columns.append(
                user: row.user,
                item: row.item,
                type: EventType.click.code,
                value: 1,
                seconds: 1_780_000_000 - row.hours * 3_600
            )
        }
        let input = FitInput(interactions: columns, itemCount: items.count, builtAt: Fixture.now)
        let snapshot = try SnapshotBuilder.fit(input, threads: 1)
        let plain = Fixture.state(items: items, tombstones: tombstones)
        return TenantState(
            incarnation: plain.incarnation,
            epoch: 1,
            policy: PolicyInForce(policy: plain.policy, unreadable: nil, behindSince: nil),
            catalog: plain.catalog,
            control: plain.control,
            denials: plain.denials,
            model: TenantState.LoadedModel(number: 1, snapshot: snapshot)
        )
    }

    private func slate(
        _ state: TenantState,
        _ kind: ListKind,
        categories: [String] = [],
        limit: Int = 10,
        exclusions: UserExclusions = .none
    ) -> SlateBuilder.Slate {
        let names = categories.map { ItemCategory.ID(trusted: $0) }
        var filters = RequestFilters()
        filters.categories = names
        return SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now).slate(
            of: AnySequence(ListCandidates(state: state).items(of: kind, window: .day, categories: names)),
            limit: limit,
            reason: Reason(kind),
            filter: SlateFilter(filters, catalog: state.catalog),
            exclusions: exclusions,
            id: nil,
            origin: SlateOrigin(user: TokenSigner.nobody, model: 1)
        )
    }

    private func ids(_ slate: SlateBuilder.Slate) -> [String] { slate.items.map(\.item.string) }

    /// Item 0 was used most of all, long ago; item 1 most of late.
    private static let rows: [(user: UInt32, item: UInt32, hours: Int64)] =
        (0..<9).map { (UInt32($0), 0, 24 * 20) } + (0..<4).map { (UInt32($0), 1, 1) } + [(0, 2, 0), (1, 2, 24 * 20)]

    @Test("popular is by use over all the data, trending by use of late, latest by what came last")
    func order() throws {
        let state = try self.state(Self.rows, items: Fixture.items(5))
        #expect(self.ids(self.slate(state, .popular)) == ["i0", "i1", "i2", "i3", "i4"])
        #expect(self.ids(self.slate(state, .trending)) == ["i1", "i2"], "twenty days are beyond eight")
        #expect(self.ids(self.slate(state, .latest)) == ["i4", "i3", "i2", "i1", "i0"])
        for kind in ListKind.allCases {
            let slate = self.slate(state, kind)
            #expect(zip(slate.items, slate.items.dropFirst()).allSatisfy { $0.score >= $1.score })
            #expect(slate.items.allSatisfy { $0.trackingToken.isEmpty && $0.score <= 1 && $0.reason == Reason(kind) })
            #expect(slate.filtered.poolExhausted)
        }
    }

    @Test("no list holds what is denied, sold out, excluded, or of another category")
    func rules() throws {
        let items = Fixture.items(40) { item in
            item.categories = item.id.string.hasSuffix("1") ? ["ones"] : ["others", "x"]
            if item.id.string == "i21" { item.inStock = false }
        }
        let rows = (0..<40).flatMap { item in (0...item).map { (user: UInt32($0), item: UInt32(item), hours: Int64(0)) }
        }
        let state = try self.state(rows, items: items, tombstones: [Fixture.tombstone(.item, "i31")])
        var suppressed = Bitmap()
        suppressed[11] = true
        for kind in ListKind.allCases {
            #expect(self.ids(self.slate(state, kind, categories: ["ones"])) == ["i11", "i1"])
            let exclusions = UserExclusions(seen: [1], suppressed: suppressed)
            let slate = self.slate(state, kind, categories: ["ones"], exclusions: exclusions)
            #expect(slate.items.isEmpty)
            #expect(slate.filtered.seen == 1 && slate.filtered.suppressed == 1)
            #expect(slate.filtered.tombstone == 1 && slate.filtered.unavailable == 1)
            let capped = self.ids(self.slate(state, kind))
            #expect(capped.count { !$0.hasSuffix("1") } == 3, "diversity holds on lists")
            #expect(self.slate(state, kind, categories: ["others"], limit: 20).items.count == 20)
            #expect(self.slate(state, kind, categories: ["nothing"]).items.isEmpty)
        }
    }

    @Test("similar is what goes together, the closest first, never the item itself nor what is merely popular")
    func similar() throws {
        let together: [(user: UInt32, item: UInt32, hours: Int64)] =
            (0..<6).flatMap { [(UInt32($0), 0, 0), (UInt32($0), 1, 0)] } + (0..<2).map { (UInt32($0), 2, 0) }
            + (10..<40).map { (UInt32($0 - 4), 3, 0) }
        let state = try self.state(together, items: Fixture.items(6))
        let scorer = Scorer()
        let candidates = ListCandidates(state: state)
        let similar = candidates.similar(to: 0, scorer: scorer)
        #expect(similar.map(\.item) == [1, 2])
        #expect(zip(similar, similar.dropFirst()).allSatisfy { $0.score >= $1.score })
        #expect(similar.allSatisfy { $0.score == $0.collaborative + $0.content + $0.popularity })
        #expect(candidates.similar(to: 5, scorer: scorer).isEmpty)
        #expect(candidates.similar(to: 600, scorer: scorer).isEmpty, "it came after the model")
    }

    @Test("what a user cares for moves up among similar items, as far as twice the likeness takes it")
    func byTaste() throws {
        let rows = (0..<20).flatMap { item in
            (0...(20 - item)).map { (user: UInt32($0), item: UInt32(item), hours: Int64(0)) }
        }
        let candidates = ListCandidates(state: try self.state(rows, items: Fixture.items(20)))
        let scorer = Scorer()
        let plain = candidates.similar(to: 1, scorer: scorer)
        #expect(plain.count == 19)
        let last = try #require(plain.last)
        let ranked = candidates.similar(to: 1, by: [last.item: 1], scorer: scorer)
        let passed = plain.dropLast().count { $0.score / 2 < last.score }
        #expect(passed > 0)
        #expect(ranked.firstIndex { $0.item == last.item } == 18 - passed)
        #expect(ranked.filter { $0.item != last.item }.map(\.item) == plain.dropLast().map(\.item))
        #expect(ranked.first { $0.item == last.item }?.score == last.score)
    }
}

@Suite("Profiles")
struct UserProfileTests {
    private static let profile = UserProfile(
        seen: [0, 7, 70_000, .max],
        suppressions: [
            Suppression(kind: .item, key: Identifier(trusted: "i|1")),
            Suppression(kind: .category, key: Identifier(trusted: "caf\u{E9}")),
            Suppression(kind: .creator, key: Identifier(trusted: String(repeating: "x", count: 128))),
        ],
        labels: [UserLabel(name: "a", value: ""), UserLabel(name: "b", value: String(repeating: "y", count: 1_024))]
    )

    @Test("a profile comes back as it was")
    func roundTrip() {
        for profile in [Self.profile, UserProfile(seen: [])] {
            #expect(UserProfileCodec.decode(UserProfileCodec.encode(profile)) == profile)
        }
    }

    @Test("truncated, lengthened or changed bytes are none, or another profile, and never a crash")
    func garbage() {
        let bytes = UserProfileCodec.encode(Self.profile)
        for length in 0..<bytes.count { #expect(UserProfileCodec.decode(Array(bytes.prefix(length))) == nil) }
        #expect(UserProfileCodec.decode(bytes + [0]) == nil)
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            var changed = bytes
            changed[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            _ = UserProfileCodec.decode(changed)
        }
    }

    @Test("what a user had is seen, a view is not; without consent only suppressions are left")
    func ofUser() {
        func event(_ item: Item.Number, _ type: EventType) -> HistoryEvent {
            HistoryEvent(item: item, type: type, value: 1, occurredAt: Fixture.now)
        }
        let history = [event(9, .purchase), event(3, .view), event(4, .hide), event(9, .click)]
        let suppressions = [Suppression(kind: .item, key: Identifier(trusted: "i1"))]
        let profile = UserProfile(UserState(version: 5, consent: true, history: history, suppressions: suppressions))
        #expect(profile == UserProfile(seen: [4, 9], suppressions: suppressions))
        let without = UserProfile(UserState(version: 5, consent: false, history: history, suppressions: suppressions))
        #expect(without == UserProfile(seen: [], suppressions: suppressions))
    }
}
