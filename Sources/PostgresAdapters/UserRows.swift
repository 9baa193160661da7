import Postgres
import RecommendationCore

/// Rows of users, as every writer makes and locks them.
enum UserRows {
    struct Locked: Sendable {
        let number: Int64
        let version: User.Version
        /// Made by this transaction.
        let isNew: Bool
    }

    /// A user may be erased between being found and being locked, so often.
    private static let attempts = 8

    /// Makes the users that are new and locks all in key order, so that writers of many cannot deadlock.
    static func lock(
        _ ids: some Sequence<User.ID>,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws -> [User.ID: Locked] {
        var locked: [User.ID: Locked] = [:]
        var missing = ids.sorted()
        for _ in 0..<Self.attempts where !missing.isEmpty {
            let made = Set(try Self.make(missing, tenant: tenant, in: &transaction).map(\.user))
            let rows = try transaction.query(
                """
                SELECT user_id, number, version FROM user_state
                WHERE tenant = $1 AND user_id = ANY($2) ORDER BY user_id FOR UPDATE
                """,
                [tenant, missing.map(\.string)]
            ) { row in
                let user = User.ID(trusted: try row.decode(0))
                return (
                    user,
                    Locked(number: try row.decode(1), version: try row.decode(2), isNew: made.contains(user))
                )
            }
            locked.merge(rows) { $1 }
            missing.removeAll { locked[$0] != nil }
        }
        guard missing.isEmpty else { throw RepositoryError.unavailable("a user was made and erased meanwhile") }
        return locked
    }

    /// Makes the users that are new, in the order given; those that were.
    static func make(
        _ ids: [User.ID],
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [(user: User.ID, number: Int64)] {
        let made = try transaction.query(
            """
            INSERT INTO user_state (tenant, user_id, version)
            SELECT $1, id, nextval('user_version_seq') FROM unnest($2::text[]) WITH ORDINALITY AS given (id, place)
            ORDER BY place
            ON CONFLICT (tenant, user_id) DO NOTHING
            RETURNING user_id, number
            """,
            [tenant, ids.map(\.string)]
        ) { row in (user: User.ID(trusted: try row.decode(0)), number: try row.decode(1, as: Int64.self)) }
        guard !made.isEmpty else { return [] }
        // A version that was drawn before the INSERT waited for an erasure to commit is lower than the erased one.
        try transaction.execute(
            """
            UPDATE user_state SET version = nextval('user_version_seq')
            WHERE number = ANY($1) AND version <= (SELECT max(version) FROM erasures)
            """,
            [made.map(\.number)]
        )
        return made
    }
}
