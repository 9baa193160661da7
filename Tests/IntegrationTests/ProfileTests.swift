import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("users in PostgreSQL")
struct ProfileTests {
    private static func suppression(_ kind: Suppression.Kind, _ key: String) -> Suppression {
        Suppression(kind: kind, key: id(key))
    }

    /// The version after a change that is stored.
    @discardableResult
    private static func apply(_ change: UserChange, to user: String, in database: Database) async throws
        -> User.Version
    {
        let write = try await database.profiles.apply(change, to: id(user), tenant: .default)
        guard case .stored(let version, let transaction) = write else {
            throw NeverHappened(description: "\(write)")
        }
        let page = try await database.journal.page(from: nil)
        #expect(page.next.covers(transaction))
        return version
    }

    @Test("each change raises the version, appends to the journal, and is read with it; what changes nothing does not")
    func changes() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let changes: [UserChange] = [
                .profile(Profile(labels: ["country": "DE", "a\"b": ""], preferredCategories: ["scifi", "a,b"])),
                .consent(false), .suppress(Self.suppression(.item, "i1")),
                .suppress(Self.suppression(.category, "caf\u{E9}")),
                .suppress(Self.suppression(.category, "cafe\u{301}")),
                .suppress(Self.suppression(.creator, "a|b")), .unsuppress(Self.suppression(.item, "i1")),
                .consent(true), .profile(Profile()),
            ]
            var last: User.Version = 0
            for change in changes {
                let version = try await Self.apply(change, to: "ann", in: database)
                #expect(version > last)
                last = version
                let page = try await database.journal.page(from: nil)
                #expect(
                    page.invalidations == [
                        Invalidation(
                            key: CacheKey(namespace: "test", owner: "default", member: "ann"),
                            version: version
                        )
                    ]
                )
                let rows = try await database.count("invalidations")
                // Sent again, it is as it was.
                #expect(try await Self.apply(change, to: "ann", in: database) == version)
                #expect(try await database.count("invalidations") == rows)
                #expect(try await database.users.version(of: id("ann"), tenant: .default) == version)
            }
            let stored = try #require(try await database.profiles.user(id("ann"), tenant: .default))
            let suppressions = [
                Self.suppression(.category, "cafe\u{301}"), Self.suppression(.category, "caf\u{E9}"),
                Self.suppression(.creator, "a|b"),
            ]
            #expect(
                stored
                    == StoredUser(profile: Profile(), consent: true, suppressions: suppressions, version: last)
            )
            let state = try await database.users.state(of: id("ann"), tenant: .default)
            #expect(state.version == last)
            #expect(Set(state.suppressions) == Set(suppressions))
            #expect(try await database.profiles.user(id("nobody"), tenant: .default) == nil)
        }
    }

    @Test("what is told of a user is read with the history, in one statement, and not without consent")
    func labels() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await database.feedback.record(
                [event(by: "ann", at: 0), event(by: "bob", at: 0)],
                tenant: .default,
                invalidating: invalidating
            )
            let profile = Profile(labels: ["age": "adult", "caf\u{E9}": ""], preferredCategories: [])
            try await Self.apply(.profile(profile), to: "ann", in: database)
            let suppression = Suppression(kind: .category, key: Identifier(trusted: "c1"))
            try await Self.apply(.suppress(suppression), to: "ann", in: database)
            let states = try await database.users.states(of: [id("ann"), id("bob"), id("nobody")], tenant: .default)
            #expect(
                Set(states[0].labels) == [
                    UserLabel(name: "age", value: "adult"), UserLabel(name: "caf\u{E9}", value: ""),
                ]
            )
            #expect(states[0].history.count == 1 && states[0].suppressions == [suppression])
            #expect(states[1].labels.isEmpty && states[1].history.count == 1 && states[2] == .unknown)
            #expect(try await database.users.state(of: id("ann"), tenant: .fleet) == .unknown)
            try await Self.apply(.consent(false), to: "ann", in: database)
            let silent = try await database.users.state(of: id("ann"), tenant: .default)
            #expect(silent.labels.isEmpty && silent.history.isEmpty && silent.suppressions == [suppression])
        }
    }

    @Test("a profile comes back as it was given")
    func profile() async throws {
        try await withDatabase { database in
            let profile = Profile(
                labels: ["a \"b\" \\": "{x}\n", "caf\u{E9}": "\u{1F680}"],
                preferredCategories: ["a,b", "NULL", "{}"]
            )
            let version = try await Self.apply(.profile(profile), to: "ann", in: database)
            #expect(
                try await database.profiles.user(id("ann"), tenant: .default)
                    == StoredUser(profile: profile, consent: true, suppressions: [], version: version)
            )
        }
    }

    @Test("a wish of somebody unknown is kept; what they cannot have is not taken away")
    func unknown() async throws {
        try await withDatabase { database in
            for change in [UserChange.reset, .unsuppress(Self.suppression(.item, "i1"))] {
                #expect(
                    try await database.profiles.apply(change, to: id("ann"), tenant: .default) == .unknownUser
                )
            }
            let users = try await database.count("user_state")
            #expect(users == 0)
            let wishes: [(String, UserChange)] = [
                ("a", .consent(false)), ("b", .suppress(Self.suppression(.item, "not yet"))),
                ("c", .profile(Profile())),
            ]
            for (user, change) in wishes {
                #expect(try await Self.apply(change, to: user, in: database) > 0)
                #expect(try await database.profiles.user(id(user), tenant: .default) != nil)
            }
            #expect(try await database.users.state(of: id("a"), tenant: .default).consent == false)
        }
    }

    @Test(
        "suppressions are read in one statement with version, consent and history; without consent no history is read"
    )
    func state() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            _ = try await database.feedback.record(
                [event(by: "ann", on: "i1"), event(.view, by: "ann", on: "i2", at: 1)],
                tenant: .default,
                invalidating: invalidating
            )
            try await Self.apply(.suppress(Self.suppression(.item, "i2")), to: "ann", in: database)
            let with = try await database.users.state(of: id("ann"), tenant: .default)
            #expect(with.history.map(\.item) == [1, 0])
            #expect(with.suppressions == [Self.suppression(.item, "i2")])
            let version = try await Self.apply(.consent(false), to: "ann", in: database)
            let without = try await database.users.state(of: id("ann"), tenant: .default)
            #expect(
                without
                    == UserState(version: version, consent: false, history: [], suppressions: with.suppressions)
            )
            // What was there all along counts again.
            try await Self.apply(.consent(true), to: "ann", in: database)
            #expect(try await database.users.state(of: id("ann"), tenant: .default).history == with.history)
        }
    }

    @Test("no reader sees a suppression without its version, or the version without it")
    func oneSnapshot() async throws {
        try await withDatabase { database in
            let first = try await Self.apply(.consent(true), to: "ann", in: database)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<60 {
                        _ = try await database.profiles.apply(
                            .suppress(Self.suppression(.item, "i\(number)")),
                            to: id("ann"),
                            tenant: .default
                        )
                    }
                }
                group.addTask {
                    var seen: [User.Version: Int] = [first: 0]
                    while true {
                        let state = try await database.users.state(of: id("ann"), tenant: .default)
                        let count = state.suppressions.count
                        #expect(seen.updateValue(count, forKey: state.version) ?? count == count)
                        if count == 60 { break }
                    }
                    let order = seen.sorted { $0.key < $1.key }.map(\.value)
                    #expect(order == order.sorted())
                    #expect(Set(order).count == order.count, "each suppression has raised the version")
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(
        "a reset deletes the history, for training too; what was said stays, and a retried event is a duplicate still"
    )
    func reset() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            let events = [event(by: "ann", id: "e1"), event(by: "ann", on: "i2"), event(by: "bob", id: "e2")]
            _ = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
            let profile = Profile(labels: ["a": "b"], preferredCategories: ["c"])
            try await Self.apply(.profile(profile), to: "ann", in: database)
            let before = try await Self.apply(.suppress(Self.suppression(.item, "i2")), to: "ann", in: database)
            let version = try await Self.apply(.reset, to: "ann", in: database)
            #expect(version > before)
            #expect(
                try await database.users.state(of: id("ann"), tenant: .default)
                    == UserState(
                        version: version,
                        consent: true,
                        history: [],
                        suppressions: [Self.suppression(.item, "i2")],
                        labels: [UserLabel(name: "a", value: "b")]
                    )
            )
            #expect(try await database.profiles.user(id("ann"), tenant: .default)?.profile == profile)
            let rows = try await database.training.reduceInteractions(tenant: .default, into: 0) { count, _ in
                count += 1
            }
            #expect(rows == 1, "bob's")
            // On its way a second time, it does not bring the history back; a new one counts.
            let again = try await database.feedback.record(
                [event(by: "ann", id: "e1"), event(by: "ann", id: "e3", at: 9)],
                tenant: .default,
                invalidating: invalidating
            )
            #expect(again.outcomes.first == .duplicate(try #require(again.outcomes.last?.version)))
            #expect(try await database.users.state(of: id("ann"), tenant: .default).history.count == 1)
            #expect(try await database.users.state(of: id("bob"), tenant: .default).history.count == 1)
            // Claims are kept a month.
            try await database.client.execute("UPDATE retired_events SET retired_at = now() - interval '31 days'")
            try await database.journal.maintain()
            #expect(try await database.count("retired_events") == 0)
        }
    }

    @Test("feedback and resets of one user come one after the other")
    func concurrentResets() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            try await Self.apply(.consent(true), to: "ann", in: database)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<40 {
                        _ = try await database.feedback.record(
                            [event(by: "ann", id: "e\(number)")],
                            tenant: .default,
                            invalidating: invalidating
                        )
                    }
                }
                group.addTask {
                    for _ in 0..<10 {
                        _ = try await database.profiles.apply(.reset, to: id("ann"), tenant: .default)
                    }
                }
                try await group.waitForAll()
            }
            let kept = try await database.count("interactions")
            let retired = try await database.count("retired_events")
            #expect(kept + retired == 40, "each event is in one place")
        }
    }

    @Test("a user has so many suppressions and no more; one of them may be said again")
    func limit() async throws {
        try await withDatabase { database in
            try await Self.apply(.suppress(Self.suppression(.item, "first")), to: "ann", in: database)
            try await database.client.execute(
                """
                INSERT INTO suppressions (user_number, kind, key)
                SELECT number, 'category', 'c' || n FROM user_state, generate_series(2, $1) n
                """,
                [Suppression.maximumCount]
            )
            let more = Self.suppression(.creator, "one more")
            #expect(
                try await database.profiles.apply(.suppress(more), to: id("ann"), tenant: .default)
                    == .tooManySuppressions
            )
            try await Self.apply(.suppress(Self.suppression(.item, "first")), to: "ann", in: database)
            try await Self.apply(.unsuppress(Self.suppression(.item, "first")), to: "ann", in: database)
            try await Self.apply(.suppress(more), to: "ann", in: database)
            #expect(
                try await database.users.state(of: id("ann"), tenant: .default).suppressions.count
                    == Suppression.maximumCount
            )
        }
    }

    @Test("nothing of a tenant is another's")
    func tenants() async throws {
        try await withDatabase { database in
            try await database.imports.ensureTenant(id("other"))
            try await Self.apply(.suppress(Self.suppression(.item, "i1")), to: "ann", in: database)
            #expect(try await database.profiles.user(id("ann"), tenant: id("other")) == nil)
            #expect(
                try await database.profiles.apply(.reset, to: id("ann"), tenant: id("other")) == .unknownUser
            )
            _ = try await database.profiles.apply(.consent(false), to: id("ann"), tenant: id("other"))
            let ours = try #require(try await database.profiles.user(id("ann"), tenant: .default))
            #expect(ours.consent)
            #expect(ours.suppressions.count == 1)
            #expect(try await database.profiles.user(id("ann"), tenant: id("other"))?.suppressions == [])
        }
    }

    @Test("what a user takes back, and a purge, is told from feedback and from what is only said of them")
    func standing() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            func standing() async throws -> UserStanding {
                try await database.users.standing(of: id("ann"), tenant: .default)
            }
            #expect(try await standing() == .unknown)
            let likes = Profile(labels: ["b": "2", "a": "1"])
            try await Self.apply(.profile(likes), to: "ann", in: database)
            var known = try await standing()
            #expect(known.number > 0 && known.changed == 0 && known.suppressions.isEmpty)
            #expect(known.labels == [UserLabel(name: "a", value: "1"), UserLabel(name: "b", value: "2")])
            _ = try await database.feedback.record(
                [event(by: "ann", id: "e1")],
                tenant: .default,
                invalidating: invalidating
            )
            #expect(try await standing() == known)
            let suppression = Self.suppression(.category, "scifi")
            for change in [.suppress(suppression), .consent(false), .reset] as [UserChange] {
                let version = try await Self.apply(change, to: "ann", in: database)
                known = try await standing()
                #expect(known.changed == version, "\(change)")
            }
            #expect(known.suppressions == [suppression] && known.labels.isEmpty)
            let before = known.changed
            try await Self.apply(.unsuppress(suppression), to: "ann", in: database)
            #expect(try await standing().changed == before)
            let purged = try #require(try await database.users.raiseVersion(of: id("ann"), tenant: .default))
            #expect(try await standing().changed == purged.version)
        }
    }
}
