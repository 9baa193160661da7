import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("impressions in PostgreSQL")
struct ImpressionTests {
    /// 16 bytes that begin with a time in milliseconds.
    private static func recommendation(at milliseconds: Int64, _ last: UInt8 = 1) -> [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: milliseconds >> Int64(40 - 8 * $0)) } + Array(repeating: 0, count: 9)
            + [last]
    }

    private static func impression(
        _ item: String,
        _ number: UInt32,
        of recommendation: [UInt8] = ImpressionTests.recommendation(at: 1_780_000_000_000),
        by user: String? = "ann"
    ) -> Impression {
        Impression(
            item: id(item),
            number: number,
            attribution: Attribution(
                recommendationID: recommendation,
                position: 3,
                source: Attribution.Source(model: 42, policy: "p7", variant: "e1.b", surface: "home")
            ),
            user: user.map { id($0) }
        )
    }

    private static func numbers(in database: Database) async throws -> [String: UInt32] {
        let rows = try await database.client.query("SELECT item_id, number FROM items") { row in
            (try row.decode(0, as: String.self), UInt32(try row.decode(1, as: Int32.self)))
        }
        return Dictionary(uniqueKeysWithValues: rows)
    }

    @Test("an item of a recommendation is stored once, with what its token says; of an unknown one nothing")
    func outcomes() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            let numbers = try await Self.numbers(in: database)
            let impressions = database.impressions
            let shown = [
                Self.impression("i1", numbers["i1"]!), Self.impression("none", 4_000_000_000),
                // The number of another item.
                Self.impression("i2", numbers["i1"]!),
            ]
            #expect(try await impressions.record(shown, tenant: .default) == [.stored, .unknownItem, .unknownItem])
            let more = [Self.impression("i1", numbers["i1"]!), Self.impression("i2", numbers["i2"]!, by: nil)]
            #expect(try await impressions.record(more, tenant: .default) == [.duplicate, .stored])
            let rows = try await database.client.query(
                """
                SELECT concat_ws('|', user_id, position, model, policy, variant, surface) FROM impressions
                ORDER BY item_number
                """
            ) { row in try row.decode(0, as: String.self) }
            #expect(rows == ["ann|3|42|p7|e1.b|home", "3|42|p7|e1.b|home"])
            #expect(try await database.count("user_state") == 0)
            #expect(try await database.count("invalidations") == 0)
        }
    }

    @Test("what was recommended before a time is removed, of every tenant, and nothing else")
    func pruning() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let number = try #require(try await Self.numbers(in: database)["i1"])
            let impressions = database.impressions
            let now: Int64 = 1_780_000_000_000
            for age in [-1, 0, 1, 2] as [Int64] {
                let own = Self.impression("i1", number, of: Self.recommendation(at: now - age))
                #expect(try await impressions.record([own], tenant: .default) == [.stored])
            }
            try await database.client.execute(
                """
                INSERT INTO impressions (tenant, recommendation_id, item_number, position)
                SELECT tenant, $1, 7, 1 FROM tenants WHERE tenant_id = '_fleet'
                """,
                [Self.recommendation(at: now - 5)]
            )
            let time = Timestamp(microseconds: now * 1_000)
            #expect(try await impressions.prune(before: time))
            #expect(try await database.count("impressions") == 2)
            #expect(try await !impressions.prune(before: time))
        }
    }

    @Test("a profile's reset forgets what was shown to the user, and to nobody else")
    func reset() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let number = try #require(try await Self.numbers(in: database)["i1"])
            let impressions = database.impressions
            _ = try await database.feedback.record([event(by: "ann")], tenant: .default, invalidating: [])
            for (index, user) in ["ann", "bob", nil].enumerated() {
                let recommendation = Self.recommendation(at: 1_780_000_000_000, UInt8(index))
                let own = Self.impression("i1", number, of: recommendation, by: user)
                #expect(try await impressions.record([own], tenant: .default) == [.stored])
            }
            _ = try await database.profiles.apply(.reset, to: id("ann"), tenant: .default)
            let left = try await database.values(
                "SELECT coalesce(user_id, '') FROM impressions ORDER BY 1",
                as: String.self
            )
            #expect(left == ["", "bob"])
        }
    }

    @Test("what was shown to a user since a time is read, the newest first, and nothing of others")
    func shown() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let number = try #require(try await Self.numbers(in: database)["i1"])
            let impressions = database.impressions
            let now: Int64 = 1_780_000_000_000
            for (age, user) in [(0, "ann"), (1, "ann"), (2, "ann"), (0, "anna"), (1, nil)] as [(Int64, String?)] {
                let id = Self.recommendation(at: now - age, UInt8(user?.utf8.count ?? 0))
                let own = Self.impression("i1", number, of: id, by: user)
                #expect(try await impressions.record([own], tenant: .default) == [.stored])
            }
            let since = Timestamp(microseconds: (now - 1) * 1_000)
            let read = try await impressions.shown(to: id("ann"), since: since, tenant: .default)
            #expect(
                read
                    == [0, 1].map { age in
                        ShownItem(
                            number: number,
                            recommendationID: Self.recommendation(at: now - age, 3),
                            surface: "home"
                        )
                    }
            )
            #expect(try await impressions.shown(to: id("ann"), since: since, tenant: id("nobody")).isEmpty)
        }
    }

    @Test("an event with a token is attributed to slate, place, model, policy, variant and surface; others to nothing")
    func attribution() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let source = Attribution.Source(model: 42, policy: "p7", variant: "e1.b", surface: "home")
            var (told, old) = (event(by: "ann", at: 1), event(by: "ann", at: 2))
            let recommendation = Self.recommendation(at: 1_780_000_000_000)
            told.attribution = Attribution(recommendationID: recommendation, position: 3, source: source)
            old.attribution = Attribution(recommendationID: recommendation, position: 4)
            _ = try await database.feedback.record(
                [told, old, event(by: "ann", at: 3)],
                tenant: .default,
                invalidating: []
            )
            let rows = try await database.client.query(
                """
                SELECT concat_ws('|', encode(recommendation_id, 'hex'), position, model, policy, variant, surface)
                FROM interactions ORDER BY occurred_at
                """
            ) { row in try row.decode(0, as: String.self) }
            let hex = recommendation.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(rows == ["\(hex)|3|42|p7|e1.b|home", "\(hex)|4", ""])
        }
    }

    @Test("what came of slates is counted by what they were made of: of what was shown, each item of a slate once")
    func quality() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2", "i3", "i4")
            try await database.client.execute(
                """
                UPDATE items SET categories = CASE item_id WHEN 'i1' THEN '{a}' WHEN 'i2' THEN '{a,b}' WHEN 'i3' THEN '{b}'
                    ELSE '{}' END::text[]
                """
            )
            let numbers = try await Self.numbers(in: database)
            let home = Attribution.Source(model: 42, policy: "p7", variant: "", surface: "home")
            let detail = Attribution.Source(model: 42, policy: "p7", variant: "", surface: "detail")
            let now: Int64 = 1_780_000_000_000
            let impressions = database.impressions
            for (slate, source, items) in [
                (UInt8(1), home, ["i1", "i2", "i3"]), (2, home, ["i1"]), (3, detail, ["i4", "i3"]),
            ] {
                let shown = items.map { item in
                    Impression(
                        item: id(item),
                        number: numbers[item]!,
                        attribution: Attribution(
                            recommendationID: Self.recommendation(at: now, slate),
                            position: 1,
                            source: source
                        ),
                        user: id("ann")
                    )
                }
                #expect(try await impressions.record(shown, tenant: .default).allSatisfy { $0 == .stored })
            }
            let events = [
                ("i1", EventType.click, UInt8(1)), ("i1", .click, 1), ("i1", .purchase, 1), ("i2", .view, 1),
                // Of a slate of which nothing is known to have been shown, and of an item that was not.
                ("i2", .click, 9), ("i4", .click, 1),
                // More than a day before the slate.
                ("i3", .click, 1), ("i3", .purchase, 1),
            ].map { item, type, slate in
                Feedback(
                    eventID: nil,
                    user: id("ann"),
                    item: id(item),
                    type: type,
                    value: 1,
                    occurredAt: Timestamp(seconds: now / 1_000 - (item == "i3" ? 86_401 : 86_400)),
                    attribution: Attribution(
                        recommendationID: Self.recommendation(at: now, slate),
                        position: 1,
                        source: home
                    )
                )
            }
            _ = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
            let quality = PostgresQualityRepository(store: database.store)
            func counts(since seconds: Int64, surface: String? = nil, limit: Int = 10) async throws -> [SlateCounts] {
                try await quality.counts(
                    since: Timestamp(seconds: seconds),
                    surface: surface,
                    limit: limit,
                    tenant: .default
                )
            }
            let all = try await counts(since: now / 1_000)
            let ofHome = SlateCounts(
                source: home,
                slates: 2,
                impressions: 4,
                clicks: 1,
                purchases: 1,
                pairs: 3,
                alike: 1,
                items: ["i1", "i2", "i3"].map { numbers[$0]! },
                shown: [2, 1, 1]
            )
            let ofDetail = SlateCounts(
                source: detail,
                slates: 1,
                impressions: 2,
                clicks: 0,
                purchases: 0,
                pairs: 1,
                alike: 0,
                items: ["i3", "i4"].map { numbers[$0]! },
                shown: [1, 1]
            )
            #expect(all == [ofHome, ofDetail])
            #expect(try await counts(since: now / 1_000, surface: "detail") == [ofDetail])
            #expect(try await counts(since: now / 1_000, limit: 1) == [ofHome])
            #expect(try await counts(since: now / 1_000 + 1).isEmpty)
            let other = try await quality.counts(since: Timestamp(seconds: 0), surface: nil, limit: 9, tenant: id("t9"))
            #expect(other.isEmpty)
        }
    }
}
