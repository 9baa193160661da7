import Postgres
package import RecommendationCore

/// The registry of models; an artifact is stored in chunks.
package struct PostgresModelRepository: ModelRepository {
    private static let chunkSize = 1 << 20

    let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func versions(tenant: Tenant.ID) async throws(RepositoryError) -> [ModelVersion] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        return try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT \(Self.columns)
                FROM model_versions WHERE tenant = $1 ORDER BY number DESC LIMIT 1000
                """,
                [number]
            ) { row in try Self.version(row, tenant: tenant) }
        }
    }

    private static let columns: PostgresStatement = """
        number, state, recipe, parameters, built_at, first_event, last_event, interactions, users, items, bytes, checksum,
        metrics, baseline, baseline_metrics
        """

    private static func version(
        _ row: borrowing PostgresRow,
        tenant: Tenant.ID
    ) throws(PostgresError) -> ModelVersion {
        let baseline = try row.decode(13, as: Int64?.self)
        let baselineMetrics = ModelMetrics.parse(try row.decode(14, as: PostgresJSON.self).text)
        return ModelVersion(
            number: try row.decode(0),
            tenant: tenant,
            state: ModelState(rawValue: try row.decode(1)) ?? .retired,
            recipe: try row.decode(2),
            parameters: ModelMetrics.parse(try row.decode(3, as: PostgresJSON.self).text),
            builtAt: Timestamp(try row.decode(4)),
            firstEvent: try row.decode(5, as: PostgresTimestamp?.self).map(Timestamp.init),
            lastEvent: try row.decode(6, as: PostgresTimestamp?.self).map(Timestamp.init),
            interactions: try row.decode(7),
            users: try row.decode(8),
            items: try row.decode(9),
            bytes: try row.decode(10),
            checksum: UInt64(bitPattern: try row.decode(11, as: Int64.self)),
            metrics: ModelMetrics.parse(try row.decode(12, as: PostgresJSON.self).text),
            baseline: baseline.map { ModelBaseline(number: $0, metrics: baselineMetrics) }
        )
    }

    package func store(
        _ model: ModelVersion,
        artifact: [UInt8],
        dataMark: String
    ) async throws(RepositoryError) -> ModelVersion.Number {
        let tenant = try await self.store.requiredNumber(of: model.tenant)
        return try await self.store.transaction(timeout: PostgresStore.bulkTimeout) { transaction in
            // One that was begun is completed; one whose row is gone meanwhile, or that was not begun, gets a row.
            let begun = try transaction.execute(
                "UPDATE model_versions SET state = 'ready' WHERE number = $1 AND tenant = $2 AND state = 'building'",
                [model.number, tenant]
            )
            var number = model.number
            if begun == 0 {
                number = try transaction.query(
                    "INSERT INTO model_versions (tenant, state, recipe) VALUES ($1, 'ready', $2) RETURNING number",
                    [tenant, model.recipe]
                ) { row in try row.decode(0, as: Int64.self) }[0]
            }
            try transaction.execute(
                """
                UPDATE model_versions
                SET recipe = $2, built_at = $3, interactions = $4, users = $5, items = $6, bytes = $7, checksum = $8,
                    metrics = $9, data_mark = $10, parameters = $11, first_event = $12, last_event = $13, baseline = $14,
                    baseline_metrics = $15
                WHERE number = $1
                """,
                [
                    number, model.recipe, model.builtAt.postgres, model.interactions, model.users, model.items,
                    Int64(artifact.count), Int64(bitPattern: model.checksum),
                    PostgresJSON(ModelMetrics.format(model.metrics)), dataMark,
                    PostgresJSON(ModelMetrics.format(model.parameters)), model.firstEvent?.postgres,
                    model.lastEvent?.postgres, model.baseline?.number,
                    PostgresJSON(ModelMetrics.format(model.baseline?.metrics ?? [:])),
                ]
            )
            for (index, start) in stride(from: 0, to: artifact.count, by: Self.chunkSize).enumerated() {
                try transaction.execute(
                    "INSERT INTO model_chunks (model, chunk, bytes) VALUES ($1, $2, $3)",
                    [number, Int32(index), Array(artifact[start..<min(start + Self.chunkSize, artifact.count)])]
                )
            }
            // Last: the lock is held for no longer than the commit.
            _ = try PostgresStore.appendControl(
                &transaction,
                tenant: tenant,
                kind: PostgresControlRepository.Kind.model
            )
            return number
        }
    }

    package func begin(recipe: String, tenant: Tenant.ID) async throws(RepositoryError) -> ModelVersion.Number {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try transaction.query(
                "INSERT INTO model_versions (tenant, state, recipe) VALUES ($1, 'building', $2) RETURNING number",
                [number, recipe]
            ) { row in try row.decode(0, as: Int64.self) }[0]
        }
    }

    package func abandon(_ number: ModelVersion.Number) async throws(RepositoryError) {
        _ = try await self.store.mapped {
            try await self.store.client.execute(
                "DELETE FROM model_versions WHERE number = $1 AND state = 'building'",
                [number]
            )
        }
    }

    package func seal(of number: ModelVersion.Number) async throws(RepositoryError) -> ModelSeal {
        let seals = try await self.store.mapped {
            try await self.store.client.read(
                "SELECT bytes, checksum FROM model_versions WHERE number = $1 AND state <> 'building'",
                [number]
            ) { row in
                ModelSeal(
                    bytes: try row.decode(0),
                    checksum: UInt64(bitPattern: try row.decode(1, as: Int64.self))
                )
            }
        }
        guard let seal = seals.first else { throw .conflict("no such model version") }
        return seal
    }

    package func artifact(_ number: ModelVersion.Number) async throws(RepositoryError) -> [UInt8] {
        let (expected, chunks) = try await self.store.transaction(
            isolation: .repeatableRead,
            readOnly: true,
            timeout: PostgresStore.bulkTimeout
        ) {
            transaction in
            let sizes = try transaction.query("SELECT bytes FROM model_versions WHERE number = $1", [number]) {
                row in try row.decode(0, as: Int.self)
            }
            let chunks = try transaction.query(
                "SELECT bytes FROM model_chunks WHERE model = $1 ORDER BY chunk",
                [number]
            ) {
                row in try row.decode(0, as: [UInt8].self)
            }
            return (sizes.first, chunks)
        }
        guard let expected else { throw .conflict("no such model version") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(expected)
        for chunk in chunks { bytes += chunk }
        guard bytes.count == expected else { throw .corrupt("the artifact has \(bytes.count) of \(expected) bytes") }
        return bytes
    }

    package func newestDataMark(tenant: Tenant.ID) async throws(RepositoryError) -> String? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        let marks = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT data_mark FROM model_versions WHERE tenant = $1 AND state IN ('ready', 'active')
                ORDER BY number DESC LIMIT 1
                """,
                [number]
            ) { row in try row.decode(0, as: String.self) }
        }
        return marks.first
    }

    package func prune(keeping count: Int, tenant: Tenant.ID) async throws(RepositoryError) {
        let number = try await self.store.requiredNumber(of: tenant)
        try await self.store.transaction { transaction in
            // Under the lock, so that nothing that goes is activated meanwhile.
            try PostgresStore.lockControl(&transaction)
            let standing = try Self.standing(number, in: &transaction)
            let kept =
                [standing.active, standing.canary?.number, standing.previous].compactMap(\.self)
                + (try PostgresExperimentRepository.experiments(number, isRunning: true, in: &transaction).flatMap {
                    $0.variants.compactMap(\.model)
                })
            let pruned = try transaction.query(
                """
                UPDATE model_versions SET state = 'retired', warmed_at = NULL WHERE number IN (
                    SELECT number FROM model_versions m
                    WHERE tenant = $1 AND state IN ('ready', 'retired') AND number <> ALL ($2)
                      AND EXISTS (SELECT FROM model_chunks c WHERE c.model = m.number)
                    ORDER BY state = 'ready' DESC, number DESC OFFSET $3
                ) RETURNING number
                """,
                [number, kept, Int64(count)]
            ) { row in try row.decode(0, as: Int64.self) }
            try transaction.execute("DELETE FROM model_chunks WHERE model = ANY ($1)", [pruned])
            try transaction.execute(
                """
                DELETE FROM model_versions
                WHERE tenant = $1 AND state = 'building' AND built_at < now() - interval '1 day'
                """,
                [number]
            )
        }
    }
}

/// Metrics as a flat JSON object of numbers.
private enum ModelMetrics {
    static func format(_ metrics: [String: Double]) -> String {
        let members = metrics.filter { $0.value.isFinite }.sorted { $0.key < $1.key }.map {
            "\"\($0.key)\":\($0.value)"
        }
        return "{\(members.joined(separator: ","))}"
    }

    static func parse(_ text: String) -> [String: Double] {
        var metrics: [String: Double] = [:]
        for member in text.split(whereSeparator: { "{},".contains($0) }) {
            let parts = member.split(separator: ":")
            guard parts.count == 2, let value = Double(parts[1].filter { $0 != " " }) else { continue }
            metrics[String(parts[0].filter { $0 != "\"" && $0 != " " })] = value
        }
        return metrics
    }
}
