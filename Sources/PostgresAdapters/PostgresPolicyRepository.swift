import Postgres
package import RecommendationCore

/// Policy documents, and the log of which was in force when.
package struct PostgresPolicyRepository: PolicyRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func store(
        _ version: String,
        document: String,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (policy: StoredPolicy, isNew: Bool) {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            // Under the lock, so that of two who store the same name one finds the other's.
            try PostgresStore.lockControl(&transaction)
            if let there = try Self.policy(version, tenant: number, in: &transaction) { return (there, false) }
            try transaction.execute(
                "INSERT INTO policies (tenant, version, document) VALUES ($1, $2, $3)",
                [number, version, PostgresJSON(document)]
            )
            _ = try PostgresStore.appendControl(
                &transaction,
                tenant: number,
                kind: PostgresControlRepository.Kind.policy
            )
            guard let new = try Self.policy(version, tenant: number, in: &transaction) else {
                throw RepositoryError.failed("a row just inserted is not there")
            }
            return (new, true)
        }
    }

    package func policy(_ version: String, tenant: Tenant.ID) async throws(RepositoryError) -> StoredPolicy? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        return try await self.store.transaction(readOnly: true) { transaction in
            try Self.policy(version, tenant: number, in: &transaction)
        }
    }

    package func versions(
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (versions: [PolicyVersion], standing: PolicyStanding) {
        guard let number = try await self.store.number(of: tenant) else { return ([], .initial) }
        return try await self.store.transaction(isolation: .repeatableRead, readOnly: true) { transaction in
            let versions = try transaction.query(
                """
                SELECT version, created_at FROM policies WHERE tenant = $1
                ORDER BY created_at DESC, version DESC LIMIT 1000
                """,
                [number]
            ) { row in PolicyVersion(version: try row.decode(0), createdAt: Timestamp(try row.decode(1))) }
            return (versions, try Self.activation(tenant: number, in: &transaction)?.standing ?? .initial)
        }
    }

    package func activate(
        _ version: String,
        share: Int,
        expected: [Int64]?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> PolicyStanding? {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            let isBuiltIn = version == Policy.builtIn.version
            let isStored = try Self.policy(version, tenant: number, in: &transaction) != nil
            guard isBuiltIn || isStored else { throw RepositoryError.conflict("there is no policy \(version)") }
            let current = try Self.activation(tenant: number, in: &transaction)
            let standing = current?.standing ?? .initial
            guard expected?.contains(standing.epoch) ?? true else { return nil }
            let canary = share < 10_000 ? PolicyCanary(version: version, share: share) : nil
            let active = canary == nil ? version : standing.active
            if standing.active == active, standing.canary == canary { return standing }
            guard canary?.version != active else {
                throw RepositoryError.conflict("\(version) is in force already, for all users")
            }
            // Beside a canary, and left alone again, the active version is rolled back to what it was before.
            let before = standing.active == active ? current?.before : current?.step
            return try Self.append(active, canary: canary, before: before, tenant: number, in: &transaction)
        }
    }

    package func rollback(
        _ version: String,
        expected: [Int64]?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> PolicyStanding? {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            let current = try Self.activation(tenant: number, in: &transaction)
            let standing = current?.standing ?? .initial
            guard expected?.contains(standing.epoch) ?? true else { return nil }
            switch try standing.target(ofRollback: version) {
            case .active:
                return try Self.append(
                    standing.active,
                    before: current?.before,
                    isRollback: true,
                    tenant: number,
                    in: &transaction
                )
            case .previous(let previous):
                return try Self.append(
                    previous,
                    before: current?.beforeThat,
                    isRollback: true,
                    tenant: number,
                    in: &transaction
                )
            }
        }
    }

    /// What nodes serve by: which versions, and the documents of those that are not built in.
    struct InForce {
        let active: StoredPolicy?
        let previous: StoredPolicy?
        let canary: PolicyCanary?
        let canaryDocument: StoredPolicy?
    }

    static func inForce(
        _ tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> InForce {
        let standing = try Self.activation(tenant: tenant, in: &transaction)?.standing ?? .initial
        func document(_ version: String?) throws(PostgresError) -> StoredPolicy? {
            guard let version, version != Policy.builtIn.version else { return nil }
            // One that is gone was deleted by hand: a document that nobody can read.
            let missing = StoredPolicy(version: version, document: "", createdAt: Timestamp(seconds: 0))
            return try Self.policy(version, tenant: tenant, in: &transaction) ?? missing
        }
        return InForce(
            active: try document(standing.active),
            previous: try document(standing.previous),
            canary: standing.canary,
            canaryDocument: try document(standing.canary?.version)
        )
    }

    private struct Activation {
        let standing: PolicyStanding
        /// The row that a rollback of the active version returns to; nil: the built-in policy.
        let before: Int64?
        /// What the previous one's rollback would return to.
        let beforeThat: Int64?
        /// The newest row without a canary: the step that the active version is; nil: none was ever activated for all.
        let step: Int64?
    }

    /// The newest activation; nil: there was none.
    private static func activation(
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Activation? {
        try transaction.query(
            """
            SELECT a.epoch, a.version, b.version, b.before, a.canary, a.share, a.before,
                   (SELECT max(s.epoch) FROM policy_activations s WHERE s.tenant = a.tenant AND s.canary IS NULL)
            FROM policy_activations a
            LEFT JOIN policy_activations b ON b.tenant = a.tenant AND b.epoch = a.before
            WHERE a.tenant = $1 ORDER BY a.epoch DESC LIMIT 1
            """,
            [tenant]
        ) { row in
            let active = try row.decode(1, as: String.self)
            let before = try row.decode(2, as: String?.self)
            let builtIn = Policy.builtIn.version
            let share = try row.decode(5, as: Int32.self)
            return Activation(
                standing: PolicyStanding(
                    active: active,
                    previous: before ?? (active == builtIn ? nil : builtIn),
                    canary: try row.decode(4, as: String?.self).map { PolicyCanary(version: $0, share: Int(share)) },
                    epoch: try row.decode(0)
                ),
                before: try row.decode(6),
                beforeThat: try row.decode(3),
                step: try row.decode(7)
            )
        }.first
    }

    private static func append(
        _ version: String,
        canary: PolicyCanary? = nil,
        before: Int64?,
        isRollback: Bool = false,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> PolicyStanding {
        let epoch = try PostgresStore.appendControl(
            &transaction,
            tenant: tenant,
            kind: PostgresControlRepository.Kind.policy,
            withdraws: isRollback
        )
        try transaction.execute(
            """
            INSERT INTO policy_activations (tenant, epoch, version, before, canary, share)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            [tenant, epoch, version, before, canary?.version, Int32(canary?.share ?? 0)]
        )
        return try Self.activation(tenant: tenant, in: &transaction)?.standing ?? .initial
    }

    static func policy(
        _ version: String,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> StoredPolicy? {
        try transaction.query(
            "SELECT version, document, created_at FROM policies WHERE tenant = $1 AND version = $2",
            [tenant, version]
        ) { row in
            StoredPolicy(
                version: try row.decode(0),
                document: try row.decode(1, as: PostgresJSON.self).text,
                createdAt: Timestamp(try row.decode(2))
            )
        }.first
    }
}
