import Postgres
package import RecommendationCore

/// Applies the migrations that are compiled into the program: plain SQL, forward only, each in a transaction of its own,
/// under an advisory lock, with a checksum of what was applied.
package struct Migrator: Sendable {
    /// One migration.
    package struct Migration: Sendable {
        package let name: String
        let sql: String
        /// Whether the program of the version before, which does not know it, serves and starts beside it: nothing that it
        /// reads or writes is taken away or given another meaning.
        var isAdditive = false
        /// FNV-1a over the text: against an edited file, not against an attacker.
        var checksum: Int64 {
            let hash = self.sql.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            return Int64(bitPattern: hash)
        }
    }

    /// What was found or done.
    package struct Report: Sendable {
        package let applied: [String]
        package let pending: [String]
        /// Of a newer program, and none that keeps this one from serving.
        package var ahead: [String] = []
    }

    /// In order; every file of `migrations/` is named here. The generated name has `_` for the first digit.
    package static let migrations = [
        Migration(name: "0001_schema", sql: String(decoding: PackageResources._001_schema_sql, as: UTF8.self)),
        Migration(name: "0002_catalogue", sql: String(decoding: PackageResources._002_catalogue_sql, as: UTF8.self)),
        Migration(name: "0003_policies", sql: String(decoding: PackageResources._003_policies_sql, as: UTF8.self)),
        Migration(
            name: "0004_node_epochs",
            sql: String(decoding: PackageResources._004_node_epochs_sql, as: UTF8.self)
        ),
        Migration(
            name: "0005_tombstone_sets",
            sql: String(decoding: PackageResources._005_tombstone_sets_sql, as: UTF8.self)
        ),
        Migration(
            name: "0006_models",
            sql: String(decoding: PackageResources._006_models_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0007_tombstone_pages",
            sql: String(decoding: PackageResources._007_tombstone_pages_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0008_warm_jobs",
            sql: String(decoding: PackageResources._008_warm_jobs_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0009_precomputed_lists",
            sql: String(decoding: PackageResources._009_precomputed_lists_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0010_policy_canaries",
            sql: String(decoding: PackageResources._010_policy_canaries_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0011_impressions",
            sql: String(decoding: PackageResources._011_impressions_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0012_erasures",
            sql: String(decoding: PackageResources._012_erasures_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0013_cursors",
            sql: String(decoding: PackageResources._013_cursors_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0014_attributed_events",
            sql: String(decoding: PackageResources._014_attributed_events_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0015_experiments",
            sql: String(decoding: PackageResources._015_experiments_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0016_rate_limits",
            sql: String(decoding: PackageResources._016_rate_limits_sql, as: UTF8.self),
            isAdditive: true
        ),
        Migration(
            name: "0017_decisions",
            sql: String(decoding: PackageResources._017_decisions_sql, as: UTF8.self),
            isAdditive: true
        ),
    ]

    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    /// Applies what is pending, or with `dryRun` only says what is.
    ///
    /// - Throws: `conflict` where the database has a migration that this program does not know and that is not additive, or
    ///   another text of one.
    package func migrate(dryRun: Bool = false) async throws(RepositoryError) -> Report {
        let done = try await self.done()
        let known = Set(Self.migrations.map(\.name))
        let foreign = done.filter { !known.contains($0.key) }
        if let name = foreign.filter({ !$0.value.isAdditive }).keys.sorted().first {
            throw .conflict("the database has migration \(name), which this program does not know; use a newer one")
        }
        let ahead = foreign.keys.sorted()
        for migration in Self.migrations {
            if let checksum = done[migration.name]?.checksum, checksum != migration.checksum {
                throw .conflict("migration \(migration.name) was applied with another text")
            }
        }
        let pending = Self.migrations.filter { done[$0.name] == nil }
        if dryRun { return Report(applied: [], pending: pending.map(\.name), ahead: ahead) }
        var applied: [String] = []
        for migration in pending where try await self.apply(migration) { applied.append(migration.name) }
        try await PostgresIncarnation.ensure(self.store)
        do {
            try await PostgresJournal(store: self.store, incarnation: { "" }).maintain()
        } catch {
            throw .unavailable("the journal's partitions cannot be made")
        }
        return Report(applied: applied, pending: [], ahead: ahead)
    }

    private struct Done: Sendable {
        let checksum: Int64
        let isAdditive: Bool
    }

    private func done() async throws(RepositoryError) -> [String: Done] {
        try await self.store.mapped {
            let exists = try await self.store.client.query("SELECT to_regclass('schema_migrations') IS NOT NULL") {
                row in try row.decode(0, as: Bool.self)
            }
            guard exists[0] else { return [:] }
            // What a program without the column has applied is not known to be additive.
            let rows = try await self.store.client.query(
                """
                SELECT name, checksum, coalesce((to_jsonb(m) ->> 'is_additive')::boolean, false) FROM schema_migrations m
                """
            ) { row in
                let (checksum, isAdditive) = (try row.decode(1, as: Int64.self), try row.decode(2, as: Bool.self))
                return (try row.decode(0, as: String.self), Done(checksum: checksum, isAdditive: isAdditive))
            }
            return Dictionary(rows, uniquingKeysWith: { first, _ in first })
        }
    }

    /// False: another node was faster.
    private func apply(_ migration: Migration) async throws(RepositoryError) -> Bool {
        try await self.store.transaction { transaction in
            try transaction.execute("SELECT pg_advisory_xact_lock($1)", [AdvisoryKey.migration.rawValue])
            try transaction.execute(
                """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    name text PRIMARY KEY, checksum bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
                )
                """
            )
            try transaction.execute(
                "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS is_additive boolean NOT NULL DEFAULT false"
            )
            let there = try transaction.query("SELECT FROM schema_migrations WHERE name = $1", [migration.name]) {
                _ in true
            }
            guard there.isEmpty else { return false }
            try transaction.executeScript(PostgresStatement(trusted: migration.sql))
            try transaction.execute(
                "INSERT INTO schema_migrations (name, checksum, is_additive) VALUES ($1, $2, $3)",
                [migration.name, migration.checksum, migration.isAdditive]
            )
            return true
        }
    }
}
