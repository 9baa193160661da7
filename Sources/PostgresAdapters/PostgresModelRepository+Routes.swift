import Postgres
package import RecommendationCore

/// Which versions serve: a log of activations, the newest row of a tenant in force. `model_versions.state` is kept beside it.
extension PostgresModelRepository: ModelRouteRepository {
    package func standing(tenant: Tenant.ID) async throws(RepositoryError) -> ModelStanding {
        guard let number = try await self.store.number(of: tenant) else { return .initial }
        return try await self.store.transaction(readOnly: true) { transaction in
            try Self.standing(number, in: &transaction)
        }
    }

    package func activate(
        _ number: ModelVersion.Number,
        share: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ModelStanding {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            let current = try Self.activation(owner, in: &transaction)
            guard try Self.isStored(number, tenant: owner, in: &transaction) else {
                throw RepositoryError.conflict("no such model version, or its artifact is gone")
            }
            let canary = share < 10_000 ? ModelCanary(number: number, share: share) : nil
            let next = Route(model: canary == nil ? number : current?.route.model, canary: canary)
            if let current, next == current.route { return try Self.standing(owner, in: &transaction) }
            guard let model = next.model else {
                throw RepositoryError.conflict("no model is active, beside which it could serve a part of the users")
            }
            guard next.canary?.number != model else {
                throw RepositoryError.conflict("\(ModelVersion.name(number)) is active already, for all users")
            }
            // A canary is no step of its own: what it becomes is rolled back to what was before it, and an active version that
            // is left alone again to what it was rolled back to before.
            let isLeftAlone = canary == nil && current?.route.model == number
            let before = isLeftAlone ? current?.step?.before : current?.step?.epoch
            return try Self.append(model, canary: canary, before: before, after: current, owner, in: &transaction)
        }
    }

    package func rollback(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ModelStanding {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            let current = try Self.activation(owner, in: &transaction)
            let name = ModelVersion.name(number)
            guard let current, let active = current.route.model else {
                throw RepositoryError.conflict("\(name) does not serve; no model does")
            }
            if current.route.canary?.number == number {
                return try Self.append(
                    active,
                    canary: nil,
                    before: current.step?.before,
                    isRollback: true,
                    after: current,
                    owner,
                    in: &transaction
                )
            }
            guard active == number else {
                throw RepositoryError.conflict("\(name) does not serve; \(ModelVersion.name(active)) does")
            }
            if let canary = current.route.canary {
                let other = ModelVersion.name(canary.number)
                throw RepositoryError.conflict("\(other) serves a part of the users beside it; roll that back first")
            }
            guard let before = current.before, let target = try Self.activation(owner, at: before, in: &transaction),
                let model = target.route.model
            else { throw RepositoryError.conflict("no model was active before \(name)") }
            guard try Self.isStored(model, tenant: owner, in: &transaction) else {
                throw RepositoryError.conflict("the artifact of \(ModelVersion.name(model)), before it, is gone")
            }
            return try Self.append(
                model,
                canary: nil,
                before: target.before,
                isRollback: true,
                after: current,
                owner,
                in: &transaction
            )
        }
    }

    package func retire(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        try await self.change(
            number,
            tenant: tenant,
            "UPDATE model_versions SET state = 'retired', warmed_at = NULL",
            withdraws: true
        ) { standing, running throws(RepositoryError) in
            if let trial = running.first(where: { $0.variants.contains { $0.model == number } }) {
                throw .conflict("\(ModelVersion.name(number)) serves a variant of \(trial.id); stop that first")
            }
            guard standing.active != number, standing.canary?.number != number else {
                throw .conflict("\(ModelVersion.name(number)) serves; activate another or roll it back first")
            }
        }
    }

    package func warm(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        try await self.change(number, tenant: tenant, "UPDATE model_versions SET warmed_at = clock_timestamp()") {
            _,
            _ throws(RepositoryError) in
        }
    }

    /// Changes a version whose artifact is there, where the standing allows it.
    private func change(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID,
        _ update: PostgresStatement,
        withdraws: Bool = false,
        where allows: @escaping @Sendable (ModelStanding, [Experiment]) throws(RepositoryError) -> Void
    ) async throws(RepositoryError) -> Int64 {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            let running = try PostgresExperimentRepository.experiments(owner, isRunning: true, in: &transaction)
            try allows(try Self.standing(owner, in: &transaction), running)
            let changed = try transaction.execute(
                """
                \(update) WHERE tenant = $1 AND number = $2 AND state <> 'building'
                  AND EXISTS (SELECT FROM model_chunks c WHERE c.model = number)
                """,
                [owner, number]
            )
            guard changed == 1 else {
                throw RepositoryError.conflict("no such model version, or its artifact is gone")
            }
            return try PostgresStore.appendControl(
                &transaction,
                tenant: owner,
                kind: PostgresControlRepository.Kind.model,
                withdraws: withdraws
            )
        }
    }

    static func standing(
        _ tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> ModelStanding {
        guard let current = try Self.activation(tenant, in: &transaction) else { return .initial }
        let previous = try current.step?.before.flatMap { (epoch) throws(PostgresError) in
            try Self.activation(tenant, at: epoch, in: &transaction)
        }
        return ModelStanding(
            active: current.route.model,
            canary: current.route.canary,
            previous: previous?.route.model,
            isRolledBack: current.isRollback,
            epoch: current.epoch
        )
    }

    private struct Route: Equatable {
        let model: ModelVersion.Number?
        let canary: ModelCanary?
    }

    /// A row without a canary: a step of rollbacks.
    private struct Step {
        let epoch: Int64
        let before: Int64?
    }

    private struct Activation {
        let epoch: Int64
        let route: Route
        let before: Int64?
        let isRollback: Bool
        /// Itself, or where it has a canary the step that is the active version's own.
        let step: Step?
    }

    /// A row of the log; the newest one where none is named.
    private static func activation(
        _ tenant: Int32,
        at epoch: Int64? = nil,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Activation? {
        try transaction.query(
            """
            SELECT a.epoch, a.model, a.canary, a.share, a.before, a.is_rollback, b.before
            FROM model_activations a
            LEFT JOIN model_activations b ON b.tenant = a.tenant AND b.epoch = a.before
            WHERE a.tenant = $1 AND ($2::bigint IS NULL OR a.epoch = $2) ORDER BY a.epoch DESC LIMIT 1
            """,
            [tenant, epoch]
        ) { row in
            let epoch = try row.decode(0, as: Int64.self)
            let share = try row.decode(3, as: Int32.self)
            let canary = try row.decode(2, as: Int64?.self).map { ModelCanary(number: $0, share: Int(share)) }
            let before = try row.decode(4, as: Int64?.self)
            let step: Step? =
                if canary == nil {
                    Step(epoch: epoch, before: before)
                } else {
                    // A row with a canary names the step that it stands beside.
                    if let before { Step(epoch: before, before: try row.decode(6)) } else { nil }
                }
            return Activation(
                epoch: epoch,
                route: Route(model: try row.decode(1), canary: canary),
                before: before,
                isRollback: try row.decode(5),
                step: step
            )
        }.first
    }

    private static func isStored(
        _ number: ModelVersion.Number,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Bool {
        try transaction.query(
            """
            SELECT EXISTS (SELECT FROM model_chunks c WHERE c.model = m.number) FROM model_versions m
            WHERE tenant = $1 AND number = $2 AND state <> 'building'
            """,
            [tenant, number]
        ) { row in try row.decode(0, as: Bool.self) }.first ?? false
    }

    /// Writes a row, and the states that it makes.
    private static func append(
        _ model: ModelVersion.Number,
        canary: ModelCanary?,
        before: Int64?,
        isRollback: Bool = false,
        after current: Activation?,
        _ tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> ModelStanding {
        let epoch = try PostgresStore.appendControl(
            &transaction,
            tenant: tenant,
            kind: PostgresControlRepository.Kind.model,
            withdraws: isRollback
        )
        try transaction.execute(
            """
            INSERT INTO model_activations (tenant, epoch, model, canary, share, before, is_rollback)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [tenant, epoch, model, canary?.number, Int32(canary?.share ?? 0), before, isRollback]
        )
        // The index allows one active version: the others first.
        let out = [current?.route.model, current?.route.canary?.number].compactMap(\.self).filter {
            $0 != model && $0 != canary?.number
        }
        try transaction.execute(
            """
            UPDATE model_versions SET state = 'retired', warmed_at = NULL
            WHERE tenant = $1 AND (number = ANY($2) OR state = 'active' AND number <> $3)
            """,
            [tenant, out, model]
        )
        try transaction.execute(
            """
            UPDATE model_versions SET state = CASE WHEN number = $2 THEN 'active' ELSE 'ready' END, warmed_at = NULL
            WHERE tenant = $1 AND number IN ($2, $3)
            """,
            [tenant, model, canary?.number ?? model]
        )
        return try Self.standing(tenant, in: &transaction)
    }
}
