import Postgres
package import RecommendationCore

/// The registry of models; an artifact is stored in chunks.
package struct PostgresModelRepository: ModelRepository {
    private static let chunkSize = 1 << 20

    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func versions(tenant: Tenant.ID) async throws(RepositoryError) -> [ModelVersion] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        return try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT \(Self.columns)
                FROM model_versions WHERE tenant = $1 AND state <> 'building' ORDER BY number DESC LIMIT 1000
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
            let numbers = try transaction.query(
                """
                INSERT INTO model_versions
                    (tenant, state, recipe, built_at, interactions, users, items, bytes, checksum, metrics, data_mark,
                     parameters, first_event, last_event, baseline, baseline_metrics)
                VALUES ($1, 'ready', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING number
                """,
                [
                    tenant, model.recipe, model.builtAt.postgres, model.interactions, model.users, model.items,
                    Int64(artifact.count), Int64(bitPattern: model.checksum),
                    PostgresJSON(ModelMetrics.format(model.metrics)), dataMark,
                    PostgresJSON(ModelMetrics.format(model.parameters)), model.firstEvent?.postgres,
                    model.lastEvent?.postgres, model.baseline?.number,
                    PostgresJSON(ModelMetrics.format(model.baseline?.metrics ?? [:])),
                ]
            ) { row in try row.decode(0, as: Int64.self) }
            for (index, start) in stride(from: 0, to: artifact.count, by: Self.chunkSize).enumerated() {
                try transaction.execute(
                    "INSERT INTO model_chunks (model, chunk, bytes) VALUES ($1, $2, $3)",
                    [numbers[0], Int32(index), Array(artifact[start..<min(start + Self.chunkSize, artifact.count)])]
                )
            }
            // Last: the lock is held for no longer than the commit.
            _ = try PostgresStore.appendControl(
                &transaction,
                tenant: tenant,
                kind: PostgresControlRepository.Kind.model
            )
            return numbers[0]
        }
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

    package func activate(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            let epoch = try PostgresStore.appendControl(
                &transaction,
                tenant: owner,
                kind: PostgresControlRepository.Kind.model
            )
            try transaction.execute(
                "UPDATE model_versions SET state = 'retired' WHERE tenant = $1 AND state = 'active' AND number <> $2",
                [owner, number]
            )
            let activated = try transaction.execute(
                """
                UPDATE model_versions m SET state = 'active' WHERE tenant = $1 AND number = $2 AND state <> 'building'
                  AND EXISTS (SELECT FROM model_chunks c WHERE c.model = m.number)
                """,
                [owner, number]
            )
            guard activated == 1 else {
                throw RepositoryError.conflict("no such model version, or its artifact is gone")
            }
            return epoch
        }
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
        _ = try await self.store.mapped {
            try await self.store.client.execute(
                """
                DELETE FROM model_chunks WHERE model IN (
                    SELECT number FROM model_versions
                    WHERE tenant = $1 AND state = 'retired' ORDER BY number DESC OFFSET $2
                )
                """,
                [number, Int64(count)]
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
