import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("feedback in PostgreSQL")
struct FeedbackTests {
    private static func record(
        _ events: [Feedback],
        in database: Database
    ) async throws -> [FeedbackOutcome] {
        try await database.feedback.record(events, tenant: .default, invalidating: invalidating).outcomes
    }

    @Test("an event is stored, known again by its id, or refused for its item")
    func outcomes() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let outcomes = try await Self.record(
                [event(by: "ann", id: "e1"), event(by: "ann", id: "e1"), event(by: "ann", on: "none", id: "e2")],
                in: database
            )
            guard case .stored(let version) = outcomes[0] else {
                Issue.record("\(outcomes)")
                return
            }
            #expect(outcomes == [.stored(version), .duplicate(version), .unknownItem])
            let again = try await Self.record([event(by: "ann", id: "e1")], in: database)
            #expect(again == [.duplicate(version)])
            #expect(try await database.count("interactions") == 1)
            #expect(try await database.users.version(of: id("ann"), tenant: .default) == version)
        }
    }

    @Test("an event of an unknown item stores not even its user")
    func unknownItem() async throws {
        try await withDatabase { database in
            let outcomes = try await Self.record([event(by: "ann", on: "none")], in: database)
            #expect(outcomes == [.unknownItem])
            #expect(try await database.count("user_state") == 0)
            #expect(try await database.count("invalidations") == 0)
            #expect(try await database.users.state(of: id("ann"), tenant: .default) == .unknown)
        }
    }

    @Test("events without an id are stored every time")
    func withoutID() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let outcomes = try await Self.record([event(by: "ann"), event(by: "ann")], in: database)
            #expect(outcomes.allSatisfy { if case .stored = $0 { true } else { false } })
            #expect(try await database.count("interactions") == 2)
        }
    }

    @Test("an event of a tenant that does not exist is a conflict")
    func unknownTenant() async throws {
        try await withDatabase { database in
            await #expect(throws: RepositoryError.conflict("no such tenant")) {
                try await database.feedback.record([event(by: "ann")], tenant: id("nobody"), invalidating: [])
            }
        }
    }

    @Test("versions strictly rise, for one user and from user to user")
    func versionsRise() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            var last: Int64 = 0
            for round in 0..<30 {
                let outcomes = try await Self.record([event(by: round % 3 == 0 ? "bob" : "ann")], in: database)
                let version = try #require(outcomes[0].version)
                #expect(version > last)
                last = version
            }
        }
    }

    @Test("a user who is deleted and comes back never goes back")
    func deletedUser() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            var last: Int64 = 0
            for _ in 0..<4 {
                for _ in 0..<3 {
                    let version = try #require(try await Self.record([event(by: "ann")], in: database)[0].version)
                    #expect(version > last)
                    last = version
                }
                try await database.client.execute("DELETE FROM user_state WHERE user_id = 'ann'")
                #expect(try await database.users.version(of: id("ann"), tenant: .default) == 0)
            }
            // A view raises no version, and the user it creates has one above all there were.
            let viewed = try #require(try await Self.record([event(.view, by: "ann")], in: database)[0].version)
            #expect(viewed > last)
            // The history of the deleted user is not the new one's.
            #expect(try await database.users.state(of: id("ann"), tenant: .default).history.count == 1)
        }
    }

    @Test("the journal has a row for each user of a call, of the same transaction, with the version of the answer")
    func journal() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let recorded = try await database.feedback.record(
                [event(by: "ann"), event(by: "bob"), event(by: "ann"), event(.view, by: "eve")],
                tenant: .default,
                invalidating: invalidating
            )
            let rows = try await database.client.query(
                "SELECT user_id, version, xid FROM invalidations ORDER BY user_id"
            ) {
                row in
                (
                    try row.decode(0, as: String.self), try row.decode(1, as: Int64.self),
                    try row.decode(2, as: UInt64.self)
                )
            }
            #expect(rows.map(\.0) == ["ann", "bob"])
            #expect(rows.map(\.1) == [recorded.outcomes[0].version, recorded.outcomes[1].version])
            #expect(rows.allSatisfy { $0.2 == recorded.transaction })
            #expect(recorded.outcomes[0] == recorded.outcomes[2])
        }
    }

    @Test("a call that fails leaves neither event, version nor journal row")
    func atomicity() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let before = try #require(try await Self.record([event(by: "ann")], in: database)[0].version)
            // The last step of the transaction is the one that fails.
            try await database.client.executeScript("ALTER TABLE invalidations ADD CHECK (user_id <> 'bob')")
            await #expect(throws: RepositoryError.self) {
                try await Self.record([event(by: "ann"), event(by: "bob")], in: database)
            }
            #expect(try await database.count("interactions") == 1)
            #expect(try await database.count("invalidations") == 1)
            #expect(try await database.count("user_state") == 1)
            #expect(try await database.users.version(of: id("ann"), tenant: .default) == before)
        }
    }

    @Test("events that invalidate nothing raise nothing")
    func views() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let first = try await Self.record([event(.view, by: "ann", id: "v1")], in: database)
            let version = try #require(first[0].version)
            #expect(first == [.stored(version)])
            let more = try await Self.record(
                [event(.view, by: "ann"), event(.click, by: "ann"), event(.view, by: "ann", id: "v1")],
                in: database
            )
            #expect(more == [.stored(version), .stored(version), .duplicate(version)])
            #expect(try await database.count("invalidations") == 0)
            #expect(try await database.count("interactions") == 3)
            // A duplicate of an invalidating type raises nothing either.
            let liked = try await Self.record([event(.like, by: "ann", id: "l1")], in: database)
            let repeated = try await Self.record([event(.like, by: "ann", id: "l1")], in: database)
            #expect(repeated == [.duplicate(try #require(liked[0].version))])
            #expect(try await database.count("invalidations") == 1)
        }
    }

    @Test("event ids are compared by bytes")
    func eventIDs() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let outcomes = try await Self.record(
                [event(by: "ann", id: "caf\u{e9}"), event(by: "ann", id: "cafe\u{301}")],
                in: database
            )
            #expect(outcomes.allSatisfy { if case .stored = $0 { true } else { false } })
            let separate = try await Self.record([event(by: "ann", id: "CAF\u{e9}")], in: database)
            guard case .stored = separate[0] else {
                Issue.record("upper and lower case are one")
                return
            }
            let again = try await Self.record([event(by: "ann", id: "cafe\u{301}")], in: database)
            guard case .duplicate = again[0] else {
                Issue.record("not known again")
                return
            }
            #expect(try await database.count("interactions") == 3)
        }
    }

    @Test("users whose names are equal as text and not as bytes are two")
    func userIDs() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let outcomes = try await Self.record(
                [event(by: "caf\u{e9}"), event(by: "cafe\u{301}"), event(by: "caf\u{e9}")],
                in: database
            )
            #expect(outcomes[0] == outcomes[2])
            #expect(outcomes[0] != outcomes[1])
            #expect(try await database.users.state(of: id("caf\u{e9}"), tenant: .default).history.count == 2)
            #expect(try await database.users.state(of: id("cafe\u{301}"), tenant: .default).history.count == 1)
        }
    }

    @Test("the same event id belongs to each tenant by itself")
    func tenants() async throws {
        try await withDatabase { database in
            let shop = Tenant.ID(trusted: "shop")
            try await database.imports.ensureTenant(shop)
            for tenant in [Tenant.ID.default, shop] {
                _ = try await database.imports.store(items: [item("i1")], tenant: tenant)
                let recorded = try await database.feedback.record(
                    [event(by: "ann", id: "e1")],
                    tenant: tenant,
                    invalidating: invalidating
                )
                guard case .stored = recorded.outcomes[0] else {
                    Issue.record("an id of another tenant counted")
                    return
                }
            }
            #expect(try await database.users.state(of: id("ann"), tenant: shop).history.count == 1)
        }
    }

    @Test("one event id from eight tasks at once is stored once")
    func concurrentDuplicates() async throws {
        try await withDatabase(connections: 8) { database in
            try await database.addItems("i1")
            for round in 0..<10 {
                let outcomes = try await withThrowingTaskGroup(of: FeedbackOutcome.self) { group in
                    for _ in 0..<8 {
                        group.addTask { try await Self.record([event(by: "ann", id: "e\(round)")], in: database)[0] }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let stored = outcomes.filter { if case .stored = $0 { true } else { false } }
                #expect(stored.count == 1)
                #expect(Set(outcomes.map(\.version)) == [stored.first?.version])
            }
            #expect(try await database.count("interactions") == 10)
            #expect(try await database.count("invalidations") == 10)
        }
    }

    @Test("batches that share users in any order do not deadlock")
    func noDeadlock() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2", "i3")
            // Clients of their own, whose sessions have reported their statistics when they are closed.
            try await withClient(of: database.server, database: database.name, name: "writers", connections: 16) {
                client in
                let own = Database(name: database.name, server: database.server, store: PostgresStore(client: client))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<16 {
                        group.addTask {
                            for _ in 0..<50 {
                                // New users among them: those are locked by their insertion.
                                let users =
                                    (0..<24).shuffled().prefix(6).map { "user-\($0)" } + [
                                        "new-\(Int.random(in: 0..<300))"
                                    ]
                                let outcomes = try await Self.record(
                                    users.shuffled().map { event(by: $0, on: "i\(Int.random(in: 1...3))") },
                                    in: own
                                )
                                #expect(!outcomes.contains(.unknownItem))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(try await database.count("interactions") == 16 * 50 * 7)
            #expect(try await Self.deadlocks(in: database) == 0)
        }
    }

    @Test("event ids in opposite orders under different users are all stored, at worst on a second try")
    func crossedEventIDs() async throws {
        try await withDatabase(connections: 8) { database in
            try await database.addItems("i1")
            for round in 0..<10 {
                let ids = (0..<6).map { "e\(round)-\($0)" }
                let stored = try await withThrowingTaskGroup(of: Int.self) { group in
                    for task in 0..<8 {
                        group.addTask {
                            let order = task % 2 == 0 ? ids : ids.reversed()
                            let outcomes = try await Self.record(
                                order.map { event(by: "user-\(task)", id: $0) },
                                in: database
                            )
                            return outcomes.count { if case .stored = $0 { true } else { false } }
                        }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(stored == ids.count)
            }
        }
    }

    @Test("a history is read newest first, with the version of the same snapshot")
    func history() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2", "i3")
            let outcomes = try await Self.record(
                [
                    event(.click, by: "ann", on: "i2", at: 20), event(.rating, by: "ann", on: "i1", at: 30, value: 4.5),
                    event(.purchase, by: "ann", on: "i3", at: 10), event(by: "bob", on: "i1", at: 40),
                ],
                in: database
            )
            let state = try await database.users.state(of: id("ann"), tenant: .default)
            #expect(state.version == outcomes[0].version)
            #expect(state.consent)
            #expect(state.history.map(\.item) == [0, 1, 2])
            #expect(state.history.map(\.type) == [.rating, .click, .purchase])
            #expect(state.history.map(\.value) == [4.5, 1, 1])
            #expect(state.history.map(\.occurredAt) == [30, 20, 10].map { event(by: "ann", at: $0).occurredAt })
            #expect(try await database.users.version(of: id("ann"), tenant: .default) == state.version)
        }
    }

    @Test("a history never shows an event without the version it raised")
    func historyAndVersion() async throws {
        try await withDatabase(connections: 6) { database in
            try await database.addItems("i1")
            _ = try await Self.record([event(by: "ann")], in: database)
            let first = try await database.users.version(of: id("ann"), tenant: .default)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for _ in 0..<100 { _ = try await Self.record([event(by: "ann")], in: database) } }
                group.addTask {
                    var last = UserState.unknown
                    while last.history.count < 101 {
                        let state = try await database.users.state(of: id("ann"), tenant: .default)
                        // Nobody else writes here: each event raises the version by exactly one of the sequence's steps.
                        #expect(state.version >= last.version)
                        #expect(
                            (state.version == last.version) == (state.history.count == last.history.count)
                                || last.version == 0
                        )
                        #expect(state.version > first || state.history.count == 1)
                        last = state
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("a purge raises the version of a user who is known, and of no other")
    func raiseVersion() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let before = try #require(try await Self.record([event(by: "ann")], in: database)[0].version)
            let raised = try #require(try await database.users.raiseVersion(of: id("ann"), tenant: .default))
            #expect(raised.version > before)
            let page = try await database.journal.page(from: nil)
            let key = CacheKey(namespace: "test", owner: "default", member: "ann")
            #expect(page.invalidations == [Invalidation(key: key, version: raised.version)])
            #expect(page.next.covers(raised.transaction))
            #expect(try await database.users.raiseVersion(of: id("nobody"), tenant: .default) == nil)
            #expect(try await database.users.raiseVersion(of: id("ann"), tenant: id("nobody")) == nil)
        }
    }

    private static func deadlocks(in database: Database) async throws -> Int64 {
        // A session reports its statistics when it ends, at the latest.
        try await eventually("the writers' sessions are gone") {
            try await database.values(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'writers'",
                as: Int32.self
            ).isEmpty
        }
        return try await database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    }
}
