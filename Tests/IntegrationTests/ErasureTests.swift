import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Serving
import Testing

/// Erasures of users in PostgreSQL.
@Suite("erasures in PostgreSQL")
struct ErasureTests {
    /// Bytes that nothing else has, and an id that is another only by its bytes.
    private static let user = "caf\u{E9}%7B{x}/*? 7f3a91"
    private static let sibling = "cafe\u{301}%7B{x}/*? 7f3a91"

    private static func accept(
        _ user: String,
        in database: Database,
        at milliseconds: Int64 = 1_000,
        tenant: Tenant.ID = .default
    ) async throws -> OpenErasure {
        try await database.erasures.accept(
            id(user),
            hash: Database.hash(id(user), tenant),
            at: milliseconds,
            tenant: tenant
        )
    }

    /// All that is left to do, as the node that relays does it.
    private static func finish(_ erasure: OpenErasure, in database: Database, keys: Int = 0) async throws {
        while try await database.erasures.removeRows(of: erasure.number) {}
        try await database.erasures.settle([(erasure.number, .done(redisKeys: keys))])
    }

    /// A user with all that a user can have.
    private static func make(_ user: String, in database: Database) async throws {
        for place in 0..<4 {
            _ = try await database.feedback.record(
                [event(by: user, id: "\(user)-\(place)", at: Int64(place)), event(.view, by: user, at: Int64(place))],
                tenant: .default,
                invalidating: invalidating
            )
            if place == 1 { _ = try await database.profiles.apply(.reset, to: id(user), tenant: .default) }
        }
        for change in [
            UserChange.profile(Profile(labels: ["name": user], preferredCategories: [user])),
            .suppress(Suppression(kind: .item, key: Identifier(trusted: user))),
            .consent(true),
        ] {
            _ = try await database.profiles.apply(change, to: id(user), tenant: .default)
        }
        try await database.client.execute(
            """
            INSERT INTO precomputed_lists
            SELECT number, 'home', tenant, 1, 'p0', 0, version, now(), '\\x00' FROM user_state WHERE user_id = $1
            """,
            [user]
        )
    }

    /// The text of every row of every table, without the tables' names.
    private static func text(of database: Database) async throws -> [String] {
        let tables = try await database.values(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace",
            as: String.self
        )
        #expect(tables.count > 20)
        var rows: [String] = []
        for table in tables {
            rows += try await database.values("SELECT t::text FROM \(identifier: table) t", as: String.self)
        }
        return rows
    }

    /// How many rows hold the bytes of an id.
    private static func mentions(of user: String, in database: Database) async throws -> Int {
        try await Self.text(of: database).filter { Array($0.utf8).contains(Array(user.utf8)) }.count
    }

    @Test("nothing in any table names a user who is erased; one whose id is another only by bytes keeps everything")
    func everything() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            try await Self.make(Self.user, in: database)
            try await Self.make(Self.sibling, in: database)
            #expect(try await Self.mentions(of: Self.user, in: database) > 5)
            let kept = try await Self.mentions(of: Self.sibling, in: database)
            let before = try await database.users.state(of: id(Self.sibling), tenant: .default)
            let last = try await database.users.version(of: id(Self.user), tenant: .default)

            let erasure = try await Self.accept(Self.user, in: database)
            #expect(erasure.version > last)
            // From here on nobody knows them, though rows are left.
            #expect(try await database.users.state(of: id(Self.user), tenant: .default) == .unknown)
            #expect(try await database.profiles.user(id(Self.user), tenant: .default) == nil)
            let page = try await database.journal.page(from: nil)
            #expect(page.next.covers(erasure.transaction))
            let key = CacheKey(namespace: "test", owner: "default", member: Self.user)
            #expect(page.invalidations.contains(Invalidation(key: key, version: erasure.version)))
            #expect(try await database.erasures.open(limit: 10) == [erasure])

            try await Self.finish(erasure, in: database, keys: 3)
            #expect(try await database.erasures.open(limit: 10).isEmpty)
            #expect(try await Self.mentions(of: Self.user, in: database) == 0)
            #expect(try await Self.mentions(of: Self.sibling, in: database) == kept)
            #expect(try await database.users.state(of: id(Self.sibling), tenant: .default) == before)
            #expect(before.history.count == 4 && before.suppressions.count == 1 && before.labels.count == 1)
            #expect(try await database.count("interactions") == 4)
            #expect(try await database.count("retired_events") == 2)

            let receipt = try #require(try await database.erasures.erasure(erasure.number, tenant: .default))
            // user_state, users, a suppression, a list; 4 events; 2 claims; rows of the journal.
            let journal = last > 0 ? receipt.removed.rows - 10 : 0
            #expect(journal == 7)
            #expect(receipt.state == .done && receipt.removed.redisKeys == 3 && receipt.removed.decisions == 0)
            #expect(receipt.finishedAt != nil && receipt.reason == nil)
            #expect(try await database.erasures.erasure(erasure.number, tenant: .fleet) == nil)
            #expect(try await database.erasures.erasure(erasure.number + 1, tenant: .default) == nil)
        }
    }

    @Test("who is not known is erased as well, of nothing; who comes again begins with nothing and a higher version")
    func again() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let nobody = try await Self.accept("nobody", in: database)
            try await Self.finish(nobody, in: database)
            #expect(
                try await database.erasures.erasure(nobody.number, tenant: .default)?.removed == Erasure.Removed()
            )
            #expect(try await database.count("user_state") == 0)

            try await Self.make("ann", in: database)
            let first = try await Self.accept("ann", in: database)
            // Before the rest is done, of a new life: it stays.
            let recorded = try await database.feedback.record(
                [event(.view, by: "ann", id: "ann-new", at: 9)],
                tenant: .default,
                invalidating: invalidating
            )
            let version = try #require(recorded.outcomes[0].version)
            #expect(recorded.outcomes == [.stored(version)] && version > first.version)
            try await Self.finish(first, in: database)
            let state = try await database.users.state(of: id("ann"), tenant: .default)
            #expect(state.version == version && state.history.map(\.type) == [.view])
            #expect(state.consent && state.labels.isEmpty && state.suppressions.isEmpty)
            let second = try await Self.accept("ann", in: database)
            #expect(second.version > version)
            try await Self.finish(second, in: database)
            #expect(try await database.count("interactions") == 0)
            let hashes = try await database.value(
                "SELECT count(DISTINCT user_hash) FROM erasures WHERE version IN ($1, $2)",
                [first.version, second.version],
                as: Int64.self
            )
            #expect(hashes == 1)
        }
    }

    @Test("a version that was drawn before an erasure, and used after it, is drawn again")
    func lateVersion() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await database.feedback.record([event(by: "ann")], tenant: .default, invalidating: invalidating)
            try await database.client.withSession { session in
                // As an erasure does it, slowly.
                try await session.execute("BEGIN")
                try await session.execute("DELETE FROM user_state WHERE user_id = 'ann'")
                try await withThrowingTaskGroup(of: User.Version.self) { group in
                    for change in [UserChange.consent(true), .profile(Profile(labels: ["a": "b"]))] {
                        group.addTask {
                            let write = try await database.profiles.apply(change, to: id("ann"), tenant: .default)
                            guard case .stored(let version, _) = write else { return 0 }
                            return version
                        }
                    }
                    group.addTask {
                        let recorded = try await database.feedback.record(
                            [event(.view, by: "ann", at: 5)],
                            tenant: .default,
                            invalidating: invalidating
                        )
                        return recorded.outcomes[0].version ?? 0
                    }
                    group.addTask {
                        let user = ImportedUser(
                            id: id("ann"),
                            labels: [:],
                            preferredCategories: [],
                            consent: nil,
                            suppressions: nil
                        )
                        _ = try await database.imports.store(users: [user], tenant: .default)
                        return try await database.users.version(of: id("ann"), tenant: .default)
                    }
                    // They have drawn theirs and wait for this transaction.
                    while try await database.value(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'
                        """,
                        as: Int64.self
                    ) < 4 {}
                    let version = try await session.query("SELECT nextval('user_version_seq')") {
                        row in try row.decode(0, as: Int64.self)
                    }[0]
                    try await session.execute(
                        """
                        INSERT INTO erasures (tenant, user_hash, version, user_id, accepted_ms, control_head)
                        SELECT tenant, '\\x00', \(literal: String(version))::bigint, 'ann', 0, 0
                        FROM tenants WHERE tenant_id = 'default'
                        """
                    )
                    try await session.execute("COMMIT")
                    for try await later in group { #expect(later > version) }
                }
            }
        }
    }

    @Test("writers of every kind race with erasures: no row is without its user, and versions only rise")
    func races() async throws {
        try await withDatabase(connections: 16) { database in
            try await database.addItems("i1", "i2")
            let stored = try await withThrowingTaskGroup(of: [User.Version].self) { group in
                for writer in 0..<6 {
                    group.addTask {
                        var versions: [User.Version] = []
                        for round in 0..<40 {
                            let name = "w\(writer)-\(round)"
                            switch writer % 3 {
                            case 0:
                                let recorded = try await database.feedback.record(
                                    [
                                        event(.view, by: "ann", id: name, at: Int64(round)),
                                        event(by: "bob", id: name + "b"),
                                    ],
                                    tenant: .default,
                                    invalidating: invalidating
                                )
                                #expect(recorded.outcomes.allSatisfy { $0.version != nil })
                                versions.append(recorded.outcomes[0].version ?? 0)
                            case 1:
                                let profile = Profile(labels: ["name": name])
                                let write = try await database.profiles.apply(
                                    .profile(profile),
                                    to: id("ann"),
                                    tenant: .default
                                )
                                if case .stored(let version, _) = write { versions.append(version) }
                            default:
                                let line = ImportedInteraction(
                                    line: 1,
                                    user: id("ann"),
                                    item: id("i2"),
                                    type: .click,
                                    value: 1,
                                    occurredAt: Timestamp(seconds: 1_577_836_800 + Int64(writer * 1_000 + round)),
                                    eventID: nil
                                )
                                let run = database.imports.interactions(tenant: .default)
                                _ = try? await run.store([line])
                            }
                        }
                        return versions
                    }
                }
                group.addTask {
                    var versions: [User.Version] = []
                    for round in 0..<20 {
                        let now = try await database.users.version(of: id("ann"), tenant: .default)
                        let erasure = try await Self.accept("ann", in: database, at: Int64(round))
                        #expect(erasure.version > now)
                        versions.append(erasure.version)
                        if round % 4 == 0 { try await Self.finish(erasure, in: database) }
                    }
                    return versions
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(stored.count > 100)
            for erasure in try await database.erasures.open(limit: 100) {
                try await Self.finish(erasure, in: database)
            }
            let last = try await Self.accept("ann", in: database)
            #expect(stored.allSatisfy { $0 < last.version })
            try await Self.finish(last, in: database)
            let orphans = try await database.value(
                "SELECT count(*) FROM interactions WHERE user_number NOT IN (SELECT number FROM user_state)",
                as: Int64.self
            )
            #expect(orphans == 0)
            #expect(try await database.count("interactions") == 80, "of the other user")
            #expect(try await database.values("SELECT user_id FROM user_state", as: String.self) == ["bob"])
            #expect(try await database.count("users") == 0)
        }
    }

    @Test("what waited in a stream since before the erasure is not stored and makes no user; what came later is")
    func queued() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await Self.accept("ann", in: database, at: 5_000)
            var events = [event(by: "ann", id: "a"), event(by: "bob", id: "b"), event(by: "ann", id: "c")]
            for (place, time) in [4_999, 4_999, 5_000].enumerated() { events[place].queuedAt = Int64(time) }
            let first = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
            let bob = try #require(first.outcomes[1].version)
            #expect(first.outcomes == [.erased, .stored(bob), .erased])
            #expect(try await database.values("SELECT user_id FROM user_state", as: String.self) == ["bob"])
            events[2].queuedAt = 5_001
            events[2].item = id("i9")
            let second = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
            #expect(second.outcomes == [.erased, .duplicate(bob), .unknownItem])
            events[2].item = id("i1")
            let third = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
            #expect(third.outcomes[0] == .erased && third.outcomes[2].version ?? 0 > bob)
            // Another tenant's user of that name was not erased.
            try await database.client.execute(
                "INSERT INTO items (tenant, number, item_id, title) VALUES (2, 0, 'i1', '')"
            )
            let other = try await database.feedback.record([events[0]], tenant: .fleet, invalidating: invalidating)
            #expect(other.outcomes[0].version != nil)
        }
    }

    @Test("an answer to a recommendation of the life before is not stored; one to a later one, or to none, is")
    func outlived() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let erasedAt: Int64 = 1_780_000_000_000
            _ = try await Self.accept("ann", in: database, at: erasedAt)
            func answer(_ user: String, _ name: String, after milliseconds: Int64, queuedAt: Int64? = nil) -> Feedback {
                let time = erasedAt + milliseconds
                var event = event(by: user, id: name)
                event.attribution = Attribution(
                    recommendationID: (0..<6).map { UInt8(truncatingIfNeeded: time >> Int64(40 - 8 * $0)) }
                        + Array(repeating: 7, count: 10),
                    position: 1,
                    source: Attribution.Source(model: 4, policy: "base", variant: "", surface: "home")
                )
                event.queuedAt = queuedAt
                return event
            }
            let recorded = try await database.feedback.record(
                [
                    answer("ann", "a", after: 0), answer("bob", "b", after: 0), answer("ann", "c", after: 1),
                    event(by: "ann", id: "d"), answer("ann", "e", after: -9, queuedAt: erasedAt + 5),
                    answer("ann", "f", after: -9, queuedAt: erasedAt),
                ],
                tenant: .default,
                invalidating: invalidating
            )
            let versions = recorded.outcomes.map(\.version)
            #expect(versions.map { $0 != nil } == [false, true, true, true, false, false])
            #expect([0, 4, 5].map { recorded.outcomes[$0] } == [.outlived, .outlived, .erased])
            let stored = try await database.values("SELECT event_id FROM interactions ORDER BY 1", as: String.self)
            #expect(stored == ["b", "c", "d"])
        }
    }

    @Test("an attempt that fails says why, and the next can be done; who settles twice counts once")
    func attempts() async throws {
        try await withDatabase { database in
            let erasure = try await Self.accept("ann", in: database)
            #expect(try await database.erasures.erasure(erasure.number, tenant: .default)?.state == .queued)
            #expect(!(try await database.erasures.removeRows(of: erasure.number)))
            #expect(try await database.erasures.erasure(erasure.number, tenant: .default)?.state == .running)
            try await database.erasures.settle([(erasure.number, .failed("Redis"))])
            let failed = try #require(try await database.erasures.erasure(erasure.number, tenant: .default))
            #expect(failed.state == .failed && failed.reason == "Redis" && failed.finishedAt == nil)
            #expect(try await database.erasures.open(limit: 10) == [erasure])
            for _ in 0..<2 { try await database.erasures.settle([(erasure.number, .done(redisKeys: 2))]) }
            let done = try #require(try await database.erasures.erasure(erasure.number, tenant: .default))
            #expect(done.state == .done && done.reason == nil && done.removed.redisKeys == 2)
        }
    }

    @Test("who reads the journal from before an erasure whose rows are gone is helped by one purge, or asks anew")
    func scrubbed() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let incarnation = try await database.control.delta(after: nil, items: nil).incarnation
            let journal = PostgresJournal(store: database.store) { incarnation }
            _ = try await database.feedback.record([event(by: "ann")], tenant: .default, invalidating: invalidating)
            let before = try await journal.head()
            let erasure = try await Self.accept("ann", in: database)
            // While its rows are there they say it themselves.
            #expect(try await journal.page(from: before).invalidations.map(\.version) == [erasure.version])
            #expect(try await journal.poll(from: before, limit: 10).isWhole)
            let after = try await journal.head()
            let head = try await journal.page(from: after).controlHead
            try await Self.finish(erasure, in: database)

            let poll = try await journal.poll(from: before, limit: 10)
            #expect(!poll.isWhole && poll.invalidations.isEmpty)
            #expect(try await journal.poll(from: after, limit: 10).isWhole)
            #expect(try await journal.poll(from: nil, limit: 10).isWhole)

            #expect(try await journal.page(from: after).controlHead == head)
            let purged = try await journal.page(from: before).controlHead
            #expect(purged > head)
            let generation = try await database.value(
                "SELECT generation FROM generations WHERE scope = 'tenant'",
                as: Int64.self
            )
            #expect(generation == purged)
            // Once is enough: no entry of before has the generation.
            #expect(try await journal.page(from: before).controlHead == purged)
            #expect(try await journal.page(from: nil).controlHead == purged)
        }
    }
}
