import Postgres
import RecommendationCore

/// One chunk of interactions in its transaction.
struct InteractionChunkWrite {
    struct Outcome: Sendable {
        var chunk: ImportedChunk
        /// What is to be remembered once it is committed.
        var users: [(User.ID, PostgresInteractionImport.RememberedUser)]
        var items: [(Item.ID, Int32)]
        var controlHead: Int64
        var expectsDuplicates: Bool
    }

    private struct LockedUser {
        var number: Int64
        /// Made by this transaction: nobody else can have given it events.
        var isNew = false
        /// Raised by an earlier chunk.
        var isRaised = false
        /// When its latest event happened; nil where it has none, or where nothing asks for it.
        var latest: Int64?
        var stored = 0
    }

    private var chunk: ImportChunk
    private let tenant: Int32
    private let memory: PostgresInteractionImport
    private var expectsDuplicates: Bool
    /// By the places of the chunk.
    private var numbers: [Int32?] = []
    private var users: [LockedUser] = []

    init(chunk: ImportChunk, tenant: Int32, memory: PostgresInteractionImport) {
        self.chunk = chunk
        self.tenant = tenant
        self.memory = memory
        self.expectsDuplicates = memory.expectsDuplicates
    }

    mutating func run(in transaction: inout PostgresTransaction) throws -> Outcome {
        let head = try transaction.query("SELECT coalesce(max(id), 0) FROM control_log") {
            row in try row.decode(0, as: Int64.self)
        }[0]
        let found = try self.resolveItems(at: head, in: &transaction)
        let count = self.chunk.rows.count
        let unknown = self.chunk.removeRows { [numbers = self.numbers] in numbers[Int($0)] == nil }
        try self.removeRetired(in: &transaction)
        self.chunk.sort()
        self.chunk.removeRepeated()
        let known = self.memory.users(self.chunk.users)
        try self.lockUsers(known: known, in: &transaction)
        try self.findLatest(in: &transaction)
        try self.storeRows(in: &transaction)
        try self.raise(in: &transaction)
        let stored = self.users.reduce(0) { $0 + $1.stored }
        var outcome = Outcome(
            chunk: ImportedChunk(
                stored: stored,
                unchanged: count - unknown.count - stored,
                unknownItems: unknown,
                raised: []
            ),
            users: [],
            items: found,
            controlHead: head,
            expectsDuplicates: self.expectsDuplicates
        )
        for (place, user) in self.users.enumerated() {
            let isRaised = user.isRaised || user.stored > 0
            if isRaised, !user.isRaised { outcome.chunk.raised.append(self.chunk.users[place]) }
            if known[place]?.number != user.number || isRaised != user.isRaised {
                outcome.users.append((self.chunk.users[place], .init(number: user.number, isRaised: isRaised)))
            }
        }
        return outcome
    }

    // MARK: Numbers

    /// Returns the items that were not known.
    private mutating func resolveItems(
        at head: Int64,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [(Item.ID, Int32)] {
        self.numbers = self.memory.numbers(of: self.chunk.items, at: head)
        let missing = self.numbers.indices.filter { self.numbers[$0] == nil }
        guard !missing.isEmpty else { return [] }
        let rows = try transaction.query(
            "SELECT item_id, number FROM items WHERE tenant = $1 AND item_id = ANY($2)",
            [self.tenant, missing.map { self.chunk.items[$0].string }]
        ) { row in (Item.ID(trusted: try row.decode(0)), try row.decode(1, as: Int32.self)) }
        let found = Dictionary(rows, uniquingKeysWith: { first, _ in first })
        for place in missing { self.numbers[place] = found[self.chunk.items[place]] }
        return rows
    }

    /// Takes out events whose id a profile reset has retired.
    private mutating func removeRetired(in transaction: inout PostgresTransaction) throws(PostgresError) {
        guard self.chunk.rows.contains(where: { self.chunk.interaction($0).eventID != nil }) else { return }
        let hasRetired = try transaction.query(
            "SELECT EXISTS (SELECT FROM retired_events WHERE tenant = $1)",
            [self.tenant]
        ) { row in try row.decode(0, as: Bool.self) }
        guard hasRetired[0] else { return }
        let ids = self.chunk.rows.compactMap { self.chunk.interaction($0).eventID }
        let retired = try transaction.query(
            "SELECT event_id FROM retired_events WHERE tenant = $1 AND event_id = ANY($2)",
            [self.tenant, ids]
        ) { row in Identifier<Feedback>(trusted: try row.decode(0)) }
        guard !retired.isEmpty else { return }
        let set = Set(retired)
        self.chunk.removeRows { interaction in
            interaction.eventID.map { set.contains(Identifier(trusted: $0)) } ?? false
        }
    }

    /// Makes the users that are new and locks all others, both in key order, as feedback does.
    private mutating func lockUsers(
        known: [PostgresInteractionImport.RememberedUser?],
        in transaction: inout PostgresTransaction
    ) throws {
        let ids = self.chunk.users
        var locked = try self.makeUsers(zip(ids, known).filter { $1 == nil }.map(\.0), in: &transaction)
        let others = try self.lock(ids.filter { locked[$0] == nil }, in: &transaction)
        locked.merge(others) { made, _ in made }
        // Users remembered from an earlier chunk may have been erased since.
        let gone = ids.filter { locked[$0] == nil }
        if !gone.isEmpty {
            locked.merge(try self.makeUsers(gone, in: &transaction)) { old, _ in old }
            locked.merge(try self.lock(gone.filter { locked[$0] == nil }, in: &transaction)) { old, _ in old }
        }
        self.users = try zip(ids, known).map { id, remembered in
            guard var user = locked[id] else {
                throw RepositoryError.unavailable("a user was made and erased meanwhile")
            }
            user.isRaised = remembered.map { $0.isRaised && $0.number == user.number } ?? false
            return user
        }
    }

    private func makeUsers(
        _ ids: [User.ID],
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [User.ID: LockedUser] {
        guard !ids.isEmpty else { return [:] }
        let made = try UserRows.make(ids, tenant: self.tenant, in: &transaction)
        return Dictionary(
            made.map { ($0.user, LockedUser(number: $0.number, isNew: true)) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    private func lock(
        _ ids: [User.ID],
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [User.ID: LockedUser] {
        guard !ids.isEmpty else { return [:] }
        let rows = try transaction.query(
            "SELECT user_id, number FROM user_state WHERE tenant = $1 AND user_id = ANY($2) ORDER BY user_id FOR UPDATE",
            [self.tenant, ids.map(\.string)]
        ) { row in (User.ID(trusted: try row.decode(0)), LockedUser(number: try row.decode(1))) }
        return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }

    /// Looks up the latest event of users who get events without an id. In a statement of its own: one that waits for a lock
    /// sees what was there before it waited.
    private mutating func findLatest(in transaction: inout PostgresTransaction) throws(PostgresError) {
        var asks = [Bool](repeating: false, count: self.users.count)
        for row in self.chunk.rows where self.chunk.interaction(row).eventID == nil { asks[Int(row.user)] = true }
        let places = self.users.indices.filter { asks[$0] && !self.users[$0].isNew }
        guard !places.isEmpty else { return }
        let latest = try transaction.query(
            """
            SELECT (SELECT max(occurred_at) FROM interactions WHERE user_number = given.number)
            FROM unnest($1::bigint[]) WITH ORDINALITY AS given (number, place) ORDER BY place
            """,
            [places.map { self.users[$0].number }]
        ) { row in try row.decode(0, as: PostgresTimestamp?.self)?.unixMicroseconds }
        for (place, moment) in zip(places, latest) { self.users[place].latest = moment }
    }

    // MARK: Rows

    private mutating func storeRows(in transaction: inout PostgresTransaction) throws {
        var certain: [ImportChunk.Row] = []
        var doubtful: [ImportChunk.Row] = []
        certain.reserveCapacity(self.chunk.rows.count)
        var hasIDs = false
        for row in self.chunk.rows {
            let interaction = self.chunk.interaction(row)
            if interaction.eventID != nil {
                hasIDs = true
                if self.expectsDuplicates { doubtful.append(row) } else { certain.append(row) }
            } else if let latest = self.users[Int(row.user)].latest, interaction.occurredAt.microseconds <= latest {
                doubtful.append(row)
            } else {
                certain.append(row)
            }
        }
        if !certain.isEmpty {
            if try self.copy(certain, guarded: hasIDs && !self.expectsDuplicates, in: &transaction) {
                for row in certain { self.users[Int(row.user)].stored += 1 }
            } else {
                self.expectsDuplicates = true
                doubtful = self.chunk.rows
            }
        }
        guard !doubtful.isEmpty else { return }
        let stored = try self.merge(doubtful, in: &transaction)
        // From a chunk with nothing but new events on, COPY is tried again.
        if hasIDs { self.expectsDuplicates = stored < doubtful.count }
    }

    /// Copies rows into the table; false, with nothing copied, where an event id was there before.
    private func copy(
        _ rows: [ImportChunk.Row],
        guarded: Bool,
        in transaction: inout PostgresTransaction
    ) throws -> Bool {
        guard guarded else {
            try self.send(rows, to: .interactions, in: &transaction)
            return true
        }
        try transaction.executeScript("SAVEPOINT rows")
        do {
            try self.send(rows, to: .interactions, in: &transaction)
        } catch let error as PostgresError where error.sqlState == .uniqueViolation {
            try transaction.executeScript("ROLLBACK TO SAVEPOINT rows")
            return false
        }
        try transaction.executeScript("RELEASE SAVEPOINT rows")
        return true
    }

    /// Stores the rows that are not there yet; how many.
    private mutating func merge(_ rows: [ImportChunk.Row], in transaction: inout PostgresTransaction) throws -> Int {
        try transaction.executeScript(
            """
            CREATE TEMPORARY TABLE import_rows (
                tenant integer, user_number bigint, item_number integer, type smallint, value real,
                occurred_at timestamptz, event_id text COLLATE "C", recommendation_id bytea, position smallint,
                line bigint
            ) ON COMMIT DROP;
            -- Every row is looked up by the index: a chunk is small beside the table, of which there may be no statistics.
            SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off
            """
        )
        try self.send(rows, to: .staging, in: &transaction)
        let stored = try transaction.query(
            """
            WITH stored AS (
                INSERT INTO interactions (tenant, user_number, item_number, type, value, occurred_at, event_id,
                                          recommendation_id, position)
                SELECT tenant, user_number, item_number, type, value, occurred_at, event_id, recommendation_id, position
                FROM import_rows c
                WHERE event_id IS NOT NULL OR NOT EXISTS (
                    SELECT FROM interactions x
                    WHERE x.user_number = c.user_number AND x.occurred_at = c.occurred_at
                      AND x.item_number = c.item_number AND x.type = c.type AND x.value = c.value
                      AND x.event_id IS NULL
                )
                ORDER BY line
                ON CONFLICT (tenant, event_id) WHERE event_id IS NOT NULL DO NOTHING
                RETURNING user_number
            )
            SELECT user_number, count(*) FROM stored GROUP BY user_number
            """
        ) { row in (try row.decode(0, as: Int64.self), try row.decode(1, as: Int.self)) }
        let counts = Dictionary(stored, uniquingKeysWith: { $0 + $1 })
        for index in self.users.indices { self.users[index].stored += counts[self.users[index].number] ?? 0 }
        return counts.values.reduce(0, +)
    }

    private enum Target {
        case interactions, staging
    }

    private func send(
        _ rows: [ImportChunk.Row],
        to target: Target,
        in transaction: inout PostgresTransaction
    ) throws {
        let isWide =
            target == .staging
            || rows.contains { row in
                let interaction = self.chunk.interaction(row)
                return interaction.eventID != nil || interaction.attribution != nil
            }
        let columns: PostgresStatement =
            switch (target, isWide) {
            case (.staging, _): "import_rows"
            case (.interactions, false): "interactions (tenant, user_number, item_number, type, value, occurred_at)"
            case (.interactions, true):
                """
                interactions (tenant, user_number, item_number, type, value, occurred_at, event_id, recommendation_id,
                              position)
                """
            }
        try transaction.copyIn(columns) { writer in
            for row in rows {
                let interaction = self.chunk.interaction(row)
                try writer.append(self.tenant)
                try writer.append(self.users[Int(row.user)].number)
                try writer.append(self.numbers[Int(row.item)]!)
                try writer.append(Int16(interaction.type.code))
                try writer.append(interaction.value)
                try writer.append(interaction.occurredAt.postgres)
                guard isWide else { continue }
                if let id = interaction.eventID {
                    try writer.append(utf8: id.utf8Span.span)
                } else {
                    try writer.appendNull()
                }
                if let attribution = interaction.attribution {
                    try writer.append(attribution.recommendationID)
                    try writer.append(Int16(clamping: attribution.position))
                } else {
                    try writer.appendNull()
                    try writer.appendNull()
                }
                if target == .staging { try writer.append(Int64(interaction.line)) }
            }
        }
    }

    // MARK: Versions

    /// Raises versions without the journal: the generation bump at the end of the import does for all. A user that is new
    /// has its first version from this transaction.
    private func raise(in transaction: inout PostgresTransaction) throws(PostgresError) {
        let numbers = self.users.filter { $0.stored > 0 && !$0.isNew && !$0.isRaised }.map(\.number)
        guard !numbers.isEmpty else { return }
        try transaction.execute(
            """
            UPDATE user_state SET version = greatest(version + 1, nextval('user_version_seq')) WHERE number = ANY($1)
            """,
            [numbers]
        )
    }
}
