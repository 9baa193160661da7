import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("migrations")
struct MigratorTests {
    private static let names = Migrator.migrations.map(\.name)

    @Test("an empty database gets everything, and nothing the second time")
    func twice() async throws {
        try await withDatabase(migrated: false) { database in
            let migrator = Migrator(store: database.store)
            let first = try await migrator.migrate()
            #expect(first.applied == Self.names && first.pending.isEmpty)
            let incarnation: String = try await database.value("SELECT id FROM incarnation")
            #expect(!incarnation.isEmpty)
            let second = try await migrator.migrate()
            #expect(second.applied.isEmpty && second.pending.isEmpty)
            #expect(try await database.value("SELECT id FROM incarnation", as: String.self) == incarnation)
            #expect(
                try await database.values("SELECT name FROM schema_migrations ORDER BY name", as: String.self)
                    == Self.names
            )
            // It can be worked with.
            try await database.addItems("i1")
            let recorded = try await database.feedback.record(
                [event(by: "ann")],
                tenant: .default,
                invalidating: invalidating
            )
            #expect(recorded.outcomes[0].version != nil)
        }
    }

    @Test("a dry run says what is pending and does nothing")
    func dryRun() async throws {
        try await withDatabase(migrated: false) { database in
            let migrator = Migrator(store: database.store)
            let report = try await migrator.migrate(dryRun: true)
            #expect(report.applied.isEmpty && report.pending == Self.names)
            let tables: Int64 = try await database.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            #expect(tables == 0)
            _ = try await migrator.migrate()
            #expect(try await migrator.migrate(dryRun: true).pending.isEmpty)
        }
    }

    @Test("every file of migrations is compiled in, in order")
    func files() {
        #expect(Self.names == Self.names.sorted())
        #expect(Set(Self.names).count == Self.names.count)
        #expect(!Self.names.isEmpty)
    }

    @Test("a migration that was applied with another text is refused")
    func editedText() async throws {
        try await withDatabase { database in
            try await database.client.execute(
                "UPDATE schema_migrations SET checksum = checksum + 1 WHERE name = $1",
                [Self.names[0]]
            )
            for dryRun in [true, false] {
                await #expect(
                    throws: RepositoryError.conflict("migration \(Self.names[0]) was applied with another text")
                ) {
                    try await Migrator(store: database.store).migrate(dryRun: dryRun)
                }
            }
        }
    }

    @Test("a database of a newer program is refused")
    func unknownMigration() async throws {
        try await withDatabase { database in
            try await database.client.execute(
                "INSERT INTO schema_migrations (name, checksum) VALUES ('9999_future', 1)"
            )
            await #expect {
                try await Migrator(store: database.store).migrate()
            } throws: { error in
                if case .conflict(let text) = error as? RepositoryError { text.contains("9999_future") } else { false }
            }
        }
    }

    @Test("beside what a newer program has added, this one serves; what is not additive stops it")
    func additive() async throws {
        try await withDatabase { database in
            try await database.client.execute(
                "INSERT INTO schema_migrations (name, checksum, is_additive) VALUES ('9998_added', 1, true)"
            )
            for dryRun in [true, false] {
                let report = try await Migrator(store: database.store).migrate(dryRun: dryRun)
                #expect(report.ahead == ["9998_added"] && report.pending.isEmpty && report.applied.isEmpty)
            }
            try await database.client.execute(
                "INSERT INTO schema_migrations (name, checksum, is_additive) VALUES ('9999_changed', 1, false)"
            )
            await #expect {
                try await Migrator(store: database.store).migrate(dryRun: true)
            } throws: { error in
                if case .conflict(let text) = error as? RepositoryError { text.contains("9999_changed") } else { false }
            }
        }
    }

    @Test("a table of a program that said nothing of what is additive is read, and extended with the next migration")
    func withoutColumn() async throws {
        try await withDatabase { database in
            try await database.client.execute("ALTER TABLE schema_migrations DROP COLUMN is_additive")
            #expect(try await Migrator(store: database.store).migrate(dryRun: true).ahead.isEmpty)
            try await database.client.execute(
                "INSERT INTO schema_migrations (name, checksum) VALUES ('9999_future', 1)"
            )
            await #expect(throws: RepositoryError.self) {
                try await Migrator(store: database.store).migrate(dryRun: true)
            }
        }
    }

    @Test("of migrators at once one applies, and all succeed", arguments: 1...3)
    func concurrently(_ round: Int) async throws {
        try await withDatabase(migrated: false) { database in
            let reports = try await withThrowingTaskGroup(of: Migrator.Report.self) { group in
                for _ in 0..<4 { group.addTask { try await Migrator(store: database.store).migrate() } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(reports.flatMap(\.applied).sorted() == Self.names)
            #expect(try await database.count("schema_migrations") == Int64(Self.names.count))
            #expect(try await database.count("incarnation") == 1)
            #expect(try await database.count("tenants") == 2)
        }
    }

    @Test("a migration that fails leaves nothing behind")
    func failure() async throws {
        try await withDatabase(migrated: false) { database in
            // In the way of the last statements of the first migration.
            try await database.client.execute("CREATE TABLE nodes (other integer)")
            await #expect(throws: RepositoryError.self) { try await Migrator(store: database.store).migrate() }
            #expect(
                try await database.values("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'") == [
                    "nodes"
                ]
            )
            try await database.client.execute("DROP TABLE nodes")
            #expect(try await Migrator(store: database.store).migrate().applied == Self.names)
        }
    }
}
