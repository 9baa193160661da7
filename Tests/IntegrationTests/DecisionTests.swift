import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

/// Records of recommendations in PostgreSQL.
@Suite("decisions in PostgreSQL")
struct DecisionTests {
    private static func record(
        _ number: UInt8,
        _ user: String?,
        version: User.Version = 1,
        at milliseconds: Int64 = 1_000
    ) -> StoredDecision {
        let time = (0..<6).map { UInt8(truncatingIfNeeded: milliseconds >> Int64(40 - 8 * $0)) }
        return StoredDecision(
            recommendationID: time + Array(repeating: number, count: 10),
            user: user.map { id($0) },
            userVersion: version,
            document: #"{"user_id":\#(user.map { "\"\($0)\"" } ?? "null"),"number":\#(number)}"#
        )
    }

    private static func known(_ user: String, in database: Database) async throws -> User.Version {
        let written = try await database.feedback.record(
            [event(by: user, id: "\(user)-1", at: 0)],
            tenant: .default,
            invalidating: invalidating
        )
        guard case .stored(let version) = written.outcomes[0] else { throw ServingErrorInTest() }
        return version
    }

    private struct ServingErrorInTest: Error {}

    @Test("a record is found by its id and tenant, as it was stored, once")
    func found() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let version = try await Self.known("ann", in: database)
            let records = [Self.record(1, "ann", version: version), Self.record(2, nil, version: 0)]
            #expect(try await database.decisions.store(records, tenant: .default) == 2)
            #expect(try await database.decisions.store(records, tenant: .default) == 0)
            for record in records {
                let found = try await database.decisions.decision(record.recommendationID, tenant: .default)
                #expect(found == record)
                #expect(try await database.decisions.decision(record.recommendationID, tenant: .fleet) == nil)
            }
            let other = Self.record(3, nil).recommendationID
            #expect(try await database.decisions.decision(other, tenant: .default) == nil)
        }
    }

    @Test("consent taken back removes them, keeps others from being stored, and another user's are left alone")
    func consent() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let version = try await Self.known("ann", in: database)
            let other = try await Self.known("bob", in: database)
            let records = [Self.record(1, "ann", version: version), Self.record(2, "bob", version: other)]
            #expect(try await database.decisions.store(records, tenant: .default) == 2)
            _ = try await database.profiles.apply(.consent(false), to: id("ann"), tenant: .default)
            #expect(try await database.count("decisions") == 1)
            let late = Self.record(3, "ann", version: .max)
            #expect(try await database.decisions.store([late], tenant: .default) == 0)
            // One that came in between, by whatever way, is not told of.
            try await database.client.execute(
                "INSERT INTO decisions SELECT tenant, $1, 'ann', 1, '{}' FROM tenants WHERE tenant_id = 'default'",
                [late.recommendationID]
            )
            #expect(try await database.decisions.decision(late.recommendationID, tenant: .default) == nil)
            #expect(try await database.decisions.decision(records[1].recommendationID, tenant: .default) == records[1])
            _ = try await database.profiles.apply(.consent(true), to: id("ann"), tenant: .default)
            #expect(try await database.decisions.store([Self.record(4, "ann", version: 1)], tenant: .default) == 0)
            #expect(try await database.decisions.store([Self.record(5, "ann", version: .max)], tenant: .default) == 1)
        }
    }

    @Test("a reset removes them, and what a late node makes of the history before is not stored")
    func reset() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let version = try await Self.known("ann", in: database)
            #expect(
                try await database.decisions.store([Self.record(1, "ann", version: version)], tenant: .default) == 1
            )
            let reset = try await database.profiles.apply(.reset, to: id("ann"), tenant: .default)
            guard case .stored(let after, _) = reset else { throw ServingErrorInTest() }
            #expect(try await database.count("decisions") == 0)
            #expect(
                try await database.decisions.store([Self.record(2, "ann", version: version)], tenant: .default) == 0
            )
            #expect(try await database.decisions.store([Self.record(3, "ann", version: after)], tenant: .default) == 1)
        }
    }

    @Test(
        "an erasure removes and counts them, in parts, and none of the life before is stored after it, whatever its time"
    )
    func erasure() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let version = try await Self.known("ann", in: database)
            let records = (1...200).map { Self.record(UInt8($0), "ann", version: version) }
            #expect(try await database.decisions.store(records, tenant: .default) == 200)
            #expect(try await database.decisions.store([Self.record(201, nil, version: 0)], tenant: .default) == 1)
            let erasure = try await database.erasures.accept(
                id("ann"),
                hash: Database.hash(id("ann"), .default),
                at: 2_000,
                tenant: .default
            )
            let told = try await database.decisions.decision(records[0].recommendationID, tenant: .default)
            #expect(told == nil, "from the acceptance on")
            // Of a node that has not heard of it: later by the clock.
            let late = Self.record(202, "ann", version: version, at: 9_000)
            #expect(try await database.decisions.store([late], tenant: .default) == 0)
            while try await database.erasures.removeRows(of: erasure.number) {}
            try await database.erasures.settle([(erasure.number, .done(redisKeys: 0))])
            let receipt = try #require(try await database.erasures.erasure(erasure.number, tenant: .default))
            #expect(receipt.removed.decisions == 200)
            #expect(try await database.count("decisions") == 1)
            // Who comes again is somebody else.
            let again = Self.record(203, "ann", version: erasure.version + 1, at: 1_500)
            #expect(try await database.decisions.store([again], tenant: .default) == 1)
            #expect(try await database.decisions.store([late], tenant: .default) == 0)
        }
    }

    @Test("what is old is removed, of every tenant, and nothing else")
    func prune() async throws {
        try await withDatabase { database in
            let records = (1...6).map { Self.record(UInt8($0), nil, version: 0, at: Int64($0) * 1_000) }
            #expect(try await database.decisions.store(records, tenant: .default) == 6)
            while try await database.decisions.prune(before: Timestamp(microseconds: 4_000_000)) {}
            #expect(try await database.count("decisions") == 3)
            for (place, record) in records.enumerated() {
                let found = try await database.decisions.decision(record.recommendationID, tenant: .default)
                #expect((found != nil) == (place >= 3))
            }
        }
    }
}
