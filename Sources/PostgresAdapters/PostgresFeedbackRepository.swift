import Postgres
package import RecommendationCore

/// Events and the versions they raise, in one transaction (coherence, section 1).
package struct PostgresFeedbackRepository: FeedbackRepository {
    private let store: PostgresStore
    private let hashes: @Sendable (User.ID, Tenant.ID) -> [[UInt8]]

    /// - Parameter hashes: Of a user, each as it may have stayed of one who was erased.
    package init(store: PostgresStore, hashes: @escaping @Sendable (User.ID, Tenant.ID) -> [[UInt8]]) {
        self.store = store
        self.hashes = hashes
    }

    package func record(
        _ events: [Feedback],
        tenant: Tenant.ID,
        invalidating: Set<EventType>
    ) async throws(RepositoryError) -> RecordedFeedback {
        let number = try await self.store.requiredNumber(of: tenant)
        // Only what waited in a stream, or answers a recommendation, can be of before an erasure that was acknowledged before
        // this call.
        let hashes = Dictionary(
            events.filter { $0.queuedAt != nil || $0.attribution != nil }.map {
                ($0.user, self.hashes($0.user, tenant))
            },
            uniquingKeysWith: { first, _ in first }
        )
        return try await self.store.transaction { transaction in
            // Before the users are made, so that none is made for an event that is not stored; and when they are locked.
            let erased = try Self.erasures(of: hashes, tenant: number, in: &transaction)
            let refused = events.map { $0.refused(by: erased) }
            var recorded = try Self.record(
                zip(events, refused).filter { $1 == nil }.map(\.0),
                tenant: number,
                invalidating: invalidating,
                in: &transaction
            )
            // What did not wait in a stream came before the erasure that it meets, which takes it away.
            let waited = Set(events.filter { $0.queuedAt != nil }.map(\.user))
            let queued = hashes.filter { waited.contains($0.key) }
            let now = try Self.erasures(of: queued, tenant: number, in: &transaction)
            guard now.allSatisfy({ erased[$0.key] == $0.value }) else {
                throw RepositoryError.unavailable("a user was erased meanwhile")
            }
            for case (let index, let outcome?) in refused.enumerated() { recorded.outcomes.insert(outcome, at: index) }
            return recorded
        }
    }

    /// When users were erased last, in milliseconds of Redis time.
    static func erasures(
        of hashes: [User.ID: [[UInt8]]],
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [User.ID: Int64] {
        guard !hashes.isEmpty else { return [:] }
        let rows = try transaction.query(
            """
            SELECT user_hash, max(accepted_ms) FROM erasures
            WHERE tenant = $1 AND user_hash = ANY($2::bytea[]) GROUP BY user_hash
            """,
            [tenant, hashes.values.flatMap(\.self)]
        ) { row in (try row.decode(0, as: [UInt8].self), try row.decode(1, as: Int64.self)) }
        let times = Dictionary(rows, uniquingKeysWith: { first, _ in first })
        return hashes.compactMapValues { $0.compactMap { times[$0] }.max() }
    }

    private static func record(
        _ events: [Feedback],
        tenant: Int32,
        invalidating: Set<EventType>,
        in transaction: inout PostgresTransaction
    ) throws -> RecordedFeedback {
        let items = try Self.items(Set(events.map(\.item)), tenant: tenant, in: &transaction)
        // An event of an unknown item stores nothing, not even its user.
        let known = events.filter { items[$0.item] != nil }
        let users = try UserRows.lock(Set(known.map(\.user)), tenant: tenant, in: &transaction)
        let stored = try Self.insert(known, users: users, items: items, tenant: tenant, in: &transaction)
        var raised = Set<User.ID>()
        var place = 0
        for event in events where items[event.item] != nil {
            if stored[place], invalidating.contains(event.type) { raised.insert(event.user) }
            place += 1
        }
        var versions = users.mapValues(\.version)
        for (user, version) in try Self.raise(raised, tenant: tenant, in: &transaction) { versions[user] = version }
        let transactions = try transaction.query("SELECT pg_current_xact_id()") {
            row in try row.decode(0, as: UInt64.self)
        }
        place = 0
        let outcomes = events.map { event -> FeedbackOutcome in
            guard items[event.item] != nil, let version = versions[event.user] else { return .unknownItem }
            defer { place += 1 }
            return stored[place] ? .stored(version) : .duplicate(version)
        }
        return RecordedFeedback(outcomes: outcomes, transaction: transactions[0])
    }

    private static func items(
        _ ids: Set<Item.ID>,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [Item.ID: Int32] {
        let rows = try transaction.query(
            "SELECT item_id, number FROM items WHERE tenant = $1 AND item_id = ANY($2)",
            [tenant, ids.map(\.string)]
        ) { row in
            (Item.ID(trusted: try row.decode(0)), try row.decode(1, as: Int32.self))
        }
        return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }

    /// Whether each event was stored; one whose id was there before was not.
    private static func insert(
        _ events: [Feedback],
        users: [User.ID: UserRows.Locked],
        items: [Item.ID: Int32],
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [Bool] {
        guard !events.isEmpty else { return [] }
        let inserted = try transaction.query(
            """
            INSERT INTO interactions
                (tenant, user_number, item_number, type, value, occurred_at, event_id, recommendation_id, position,
                 model, policy, variant, surface)
            SELECT $1, u, i, t, v, o, e, r, p, m, y, a, f
            FROM unnest($2::bigint[], $3::integer[], $4::smallint[], $5::real[], $6::timestamptz[], $7::text[],
                        $8::bytea[], $9::smallint[], $10::bigint[], $11::text[], $12::text[], $13::text[])
                 AS given (u, i, t, v, o, e, r, p, m, y, a, f)
            -- What a profile reset has deleted was stored before; it is a duplicate still.
            WHERE NOT EXISTS (SELECT FROM retired_events WHERE tenant = $1 AND event_id = e)
            ON CONFLICT (tenant, event_id) WHERE event_id IS NOT NULL DO NOTHING
            RETURNING event_id
            """,
            [
                tenant,
                events.map { users[$0.user]!.number },
                events.map { items[$0.item]! },
                events.map { Int16($0.type.code) },
                events.map(\.value),
                events.map(\.occurredAt.postgres),
                events.map(\.eventID),
                events.map { $0.attribution?.recommendationID },
                events.map { $0.attribution.map { Int16(clamping: $0.position) } },
                events.map { $0.attribution?.source?.model },
                events.map { $0.attribution?.source?.policy },
                events.map { $0.attribution?.source?.variant },
                events.map { $0.attribution?.source?.surface },
            ]
        ) { row in try row.decode(0, as: String?.self) }
        // Ids by bytes: as Swift strings, composed and decomposed text would be one.
        var new = Set(inserted.compactMap { $0.map { Array($0.utf8) } })
        return events.map { event in
            guard let id = event.eventID else { return true }
            // The first of a repeated id in one call is the one that was stored.
            return new.remove(Array(id.utf8)) != nil
        }
    }

    /// Raises versions and appends to the journal.
    static func raise(
        _ users: Set<User.ID>,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [(User.ID, Int64)] {
        guard !users.isEmpty else { return [] }
        return try transaction.query(
            """
            WITH raised AS (
                UPDATE user_state SET version = greatest(version + 1, nextval('user_version_seq'))
                WHERE tenant = $1 AND user_id = ANY($2) RETURNING user_id, version
            ), journal AS (
                INSERT INTO invalidations (tenant, user_id, version) SELECT $1, user_id, version FROM raised
            )
            SELECT user_id, version FROM raised
            """,
            [tenant, users.sorted().map(\.string)]
        ) { row in
            (User.ID(trusted: try row.decode(0)), try row.decode(1, as: Int64.self))
        }
    }
}

extension Feedback {
    /// Why it is not stored, of users who were erased, in milliseconds of Redis time; nil: it is.
    fileprivate func refused(by erasures: [User.ID: Int64]) -> FeedbackOutcome? {
        guard let erasedAt = erasures[self.user] else { return nil }
        if let queuedAt, queuedAt <= erasedAt { return .erased }
        if let attribution, attribution.milliseconds <= erasedAt { return .outlived }
        return nil
    }
}
