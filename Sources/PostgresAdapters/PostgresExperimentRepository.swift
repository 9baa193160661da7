import Postgres
package import RecommendationCore

/// Experiments, a row each.
package struct PostgresExperimentRepository: ExperimentRepository {
    let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func start(
        _ order: ExperimentOrder,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (experiment: Experiment, epoch: Int64) {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            guard try Self.experiments(number, id: order.id, in: &transaction).isEmpty else {
                throw RepositoryError.conflict("there is, or was, an experiment \(order.id)")
            }
            let running = try Self.experiments(number, isRunning: true, in: &transaction)
            try Self.check(order.variants, surface: order.surface, layer: order.layer, beside: running)
            try Self.check(order.variants, tenant: number, in: &transaction)
            let layer = running.filter { $0.layer == order.layer }.map(\.users)
            guard let users = Buckets().sharing([order.share], beside: layer) else {
                let taken = layer.reduce(0) { $0 + $1.count(of: 0) }
                throw RepositoryError.conflict(
                    "the layer \(order.layer) has \(Double(Buckets.count - taken) / 100) percent of the users left"
                )
            }
            guard let slots = Buckets().sharing(order.variants.map(\.weight)) else {
                throw RepositoryError.conflict("the weights add to more than 100 percent")
            }
            var random = SystemRandomNumberGenerator()
            let salt = UInt64.random(in: 0 ... .max, using: &random)
            let times = try transaction.query("SELECT now()") { row in try row.decode(0, as: PostgresTimestamp.self) }
            let now = Timestamp(times[0])
            let experiment = Experiment(
                id: order.id,
                surface: order.surface,
                layer: order.layer,
                salt: salt,
                variants: order.variants,
                design: order.design,
                allocation: order.allocation,
                users: users,
                slots: slots,
                startedAt: now,
                weighedAt: now
            )
            try Self.insert(experiment, tenant: number, in: &transaction)
            return (experiment, try Self.announce(number, in: &transaction))
        }
    }

    package func setVariants(
        _ variants: [Experiment.Variant],
        of id: String,
        ifWeighedAt time: Timestamp? = nil,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (experiment: Experiment, epoch: Int64)? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            guard var experiment = try Self.experiments(number, id: id, in: &transaction).first else { return nil }
            guard experiment.stoppedAt == nil else { throw RepositoryError.conflict("\(id) is stopped") }
            for (index, old) in experiment.variants.enumerated() {
                guard index < variants.count, variants[index].name == old.name else {
                    throw RepositoryError.conflict(
                        "variant \(old.name) of \(id) stays where it is; a weight of 0 gives it no users"
                    )
                }
                guard variants[index].policy == old.policy, variants[index].model == old.model else {
                    throw RepositoryError.conflict("variant \(old.name) of \(id) is served as it was; name another one")
                }
            }
            guard variants != experiment.variants, time.map({ $0 == experiment.weighedAt }) ?? true else {
                return (experiment, try Self.head(&transaction))
            }
            let others = try Self.experiments(number, isRunning: true, in: &transaction).filter { $0.id != id }
            try Self.check(variants, surface: experiment.surface, layer: experiment.layer, beside: others)
            try Self.check(
                Array(variants.dropFirst(experiment.variants.count)),
                tenant: number,
                in: &transaction
            )
            guard let slots = experiment.slots.sharing(variants.map(\.weight)) else {
                throw RepositoryError.conflict("the weights add to more than 100 percent")
            }
            experiment.variants = variants
            // Of users who were given out later fewer were seen: nor may those go from one variant to another.
            let change = slots.change(since: experiment.slots)
            let isEven =
                switch experiment.allocation {
                case .fixed: !change.hasMoved || experiment.weighedAt == experiment.startedAt
                case .thompson: !change.hasGrown
                }
            experiment.isComparable =
                experiment.isComparable && isEven && slots.isGivenAlike(since: experiment.slots)
            experiment.slots = slots
            var bindings: PostgresBindings = [number, id]
            Self.bind(variants, to: &bindings)
            bindings.append(Self.numbers(slots))
            bindings.append(experiment.isComparable)
            let times = try transaction.query(
                """
                UPDATE experiments SET names = $3, weights = $4, policies = $5, models = $6, slots = $7, comparable = $8, weighed_at = now()
                WHERE tenant = $1 AND id = $2 RETURNING weighed_at
                """,
                bindings
            ) { row in try row.decode(0, as: PostgresTimestamp.self) }
            experiment.weighedAt = Timestamp(times[0])
            return (experiment, try Self.announce(number, in: &transaction))
        }
    }

    package func stop(
        _ id: String,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (experiment: Experiment, epoch: Int64)? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        return try await self.store.transaction { transaction in
            try PostgresStore.lockControl(&transaction)
            guard let experiment = try Self.experiments(number, id: id, in: &transaction).first else { return nil }
            guard experiment.stoppedAt == nil else { return (experiment, try Self.head(&transaction)) }
            try transaction.execute(
                "UPDATE experiments SET stopped_at = now() WHERE tenant = $1 AND id = $2",
                [number, id]
            )
            let epoch = try Self.announce(number, in: &transaction)
            return (try Self.experiments(number, id: id, in: &transaction)[0], epoch)
        }
    }

    package func experiments(tenant: Tenant.ID) async throws(RepositoryError) -> [Experiment] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        return try await self.store.transaction(readOnly: true) { transaction in
            try Self.experiments(number, in: &transaction)
        }
    }

    package func experiment(_ id: String, tenant: Tenant.ID) async throws(RepositoryError) -> Experiment? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        return try await self.store.transaction(readOnly: true) { transaction in
            try Self.experiments(number, id: id, in: &transaction).first
        }
    }

    // MARK: Rules

    /// What two layers change would be changed by both for some users, and what tokens say has room for so many.
    private static func check(
        _ variants: [Experiment.Variant],
        surface: String,
        layer: String,
        beside running: [Experiment]
    ) throws(RepositoryError) {
        let beside = running.filter { $0.surface == surface }
        guard beside.count < Experiment.maximumOnSurface else {
            throw .conflict("\(beside.count) experiments run on \(surface) already")
        }
        func changes(_ variant: Experiment.Variant) -> Bool { variant.policy != nil || variant.model != nil }
        for other in beside where other.layer != layer && other.variants.contains(where: changes) {
            guard !variants.contains(where: changes) else {
                throw .conflict(
                    "\(other.id) has its own policies or models on \(surface), too: take its layer, \(other.layer)"
                )
            }
        }
    }

    /// What variants name must be there, and loaded by every node.
    private static func check(
        _ variants: [Experiment.Variant],
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws {
        for version in Set(variants.compactMap(\.policy)) where version != Policy.builtIn.version {
            let found = try transaction.query(
                "SELECT 1 FROM policies WHERE tenant = $1 AND version = $2",
                [tenant, version]
            ) { row in try row.decode(0, as: Int32.self) }
            guard !found.isEmpty else { throw RepositoryError.conflict("there is no policy \(version)") }
        }
        for model in Set(variants.compactMap(\.model)) {
            let rows = try transaction.query(
                """
                SELECT EXISTS (SELECT FROM model_versions WHERE tenant = $1 AND number = $2 AND state <> 'building'),
                       (SELECT count(*) FROM nodes WHERE seen_at > now() - interval '5 seconds'
                        AND NOT $2 = ANY(loaded_models))
                """,
                [tenant, model]
            ) { row in (try row.decode(0, as: Bool.self), try row.decode(1, as: Int64.self)) }
            let name = ModelVersion.name(model)
            guard rows[0].0 else { throw RepositoryError.conflict("there is no model \(name)") }
            guard rows[0].1 == 0 else {
                throw RepositoryError.conflict(
                    "\(rows[0].1) nodes have not loaded \(name); POST /v1/admin/models/\(name):warm"
                )
            }
        }
    }

    // MARK: Rows

    private static func announce(
        _ tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Int64 {
        try PostgresStore.appendControl(
            &transaction,
            tenant: tenant,
            kind: PostgresControlRepository.Kind.experiment
        )
    }

    private static func head(_ transaction: inout PostgresTransaction) throws(PostgresError) -> Int64 {
        try transaction.query("SELECT coalesce(max(id), 0) FROM control_log") { row in try row.decode(0) }[0]
    }

    /// Appends names, weights, policies and models, each an array.
    private static func bind(_ variants: [Experiment.Variant], to bindings: inout PostgresBindings) {
        bindings.append(variants.map(\.name))
        bindings.append(variants.map { Int32($0.weight) })
        bindings.append(variants.map { $0.policy ?? "" })
        bindings.append(variants.map { $0.model ?? 0 })
    }

    private static func numbers(_ buckets: Buckets) -> [Int32] {
        buckets.ranges.flatMap { [Int32($0.first), Int32($0.end), Int32($0.place)] }
    }

    private static func buckets(_ numbers: [Int32]) -> Buckets? {
        guard numbers.count % 3 == 0 else { return nil }
        return Buckets(
            stride(from: 0, to: numbers.count, by: 3).map {
                Buckets.Range(first: Int(numbers[$0]), end: Int(numbers[$0 + 1]), place: Int(numbers[$0 + 2]))
            }
        )
    }

    private static func insert(
        _ experiment: Experiment,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) {
        let design = experiment.design
        var bindings: PostgresBindings = [
            tenant, experiment.id, experiment.surface, experiment.layer, Int64(bitPattern: experiment.salt),
        ]
        Self.bind(experiment.variants, to: &bindings)
        bindings.append(design.metric.rawValue)
        for number in [design.baseline, design.effect, design.alpha, design.power] { bindings.append(number) }
        bindings.append(experiment.allocation.rawValue)
        bindings.append(Self.numbers(experiment.users))
        bindings.append(Self.numbers(experiment.slots))
        try transaction.execute(
            """
            INSERT INTO experiments (tenant, id, surface, layer, salt, names, weights, policies, models, metric, baseline,
                                     effect, alpha, power, allocation, users, slots)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            """,
            bindings
        )
    }

    /// Experiments of a tenant, the newest first.
    static func experiments(
        _ tenant: Int32,
        id: String? = nil,
        isRunning: Bool = false,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [Experiment] {
        try transaction.query(
            """
            SELECT id, surface, layer, salt, names, weights, policies, models, metric, baseline, effect, alpha, power, users,
                   slots, started_at, weighed_at, stopped_at, allocation, comparable
            FROM experiments WHERE tenant = $1 AND ($2::text IS NULL OR id = $2) AND (NOT $3 OR stopped_at IS NULL)
            ORDER BY started_at DESC, id
            """,
            [tenant, id, isRunning]
        ) { row in
            let names = try row.decode(4, as: [String].self)
            let weights = try row.decode(5, as: [Int32].self)
            let policies = try row.decode(6, as: [String].self)
            let models = try row.decode(7, as: [Int64].self)
            // A metric, a way to give users, or places, that this program does not know: it serves by them nobody.
            guard let metric = Experiment.Metric(rawValue: try row.decode(8)),
                let allocation = Experiment.Allocation(rawValue: try row.decode(18)),
                let users = Self.buckets(try row.decode(13)), let slots = Self.buckets(try row.decode(14)),
                [weights.count, policies.count, models.count].allSatisfy({ $0 == names.count }),
                slots.ranges.allSatisfy({ $0.place < names.count })
            else { return nil }
            return Experiment(
                id: try row.decode(0),
                surface: try row.decode(1),
                layer: try row.decode(2),
                salt: UInt64(bitPattern: try row.decode(3, as: Int64.self)),
                variants: names.indices.map { index in
                    Experiment.Variant(
                        name: names[index],
                        weight: Int(weights[index]),
                        policy: policies[index].isEmpty ? nil : policies[index],
                        model: models[index] == 0 ? nil : models[index]
                    )
                },
                design: Experiment.Design(
                    metric: metric,
                    baseline: try row.decode(9),
                    effect: try row.decode(10),
                    alpha: try row.decode(11),
                    power: try row.decode(12)
                ),
                allocation: allocation,
                users: users,
                slots: slots,
                isComparable: try row.decode(19),
                startedAt: Timestamp(try row.decode(15)),
                weighedAt: Timestamp(try row.decode(16)),
                stoppedAt: try row.decode(17, as: PostgresTimestamp?.self).map { Timestamp($0) }
            )
        }.compactMap(\.self)
    }
}
