package import Logging
package import RecommendationCore

/// Why a version was not put into service.
package enum RolloutError: Error, Sendable, Equatable {
    case repository(RepositoryError)
    /// The tenant has no such version.
    case unknown(ModelVersion.Number)
    /// It falls too far below the active one, and was not forced.
    case refused(ModelShortfall)
    case cancelled
}

extension RolloutError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .repository(let error): "\(error)"
        case .unknown(let number): "there is no model \(ModelVersion.name(number))"
        case .refused(let shortfall): "\(shortfall); force it to activate it all the same"
        case .cancelled: "it was cancelled"
        }
    }
}

/// Puts versions into service: compared with the active one first, then loaded by every node, then switched.
package struct ModelRollout: Sendable {
    /// What an activation came to.
    package struct Outcome: Sendable, Equatable {
        package var standing: ModelStanding
        /// How it compares with the version that was active.
        package var finding: ModelGuard.Finding
        /// Nodes that had not loaded it in time: they do when they apply the switch.
        package var late: [String]

        package init(standing: ModelStanding, finding: ModelGuard.Finding, late: [String]) {
            self.standing = standing
            self.finding = finding
            self.late = late
        }
    }

    /// How many of the live nodes hold a version.
    package struct Spread: Sendable, Equatable {
        package var loaded: Int
        package var late: [String]

        package init(loaded: Int, late: [String]) {
            self.loaded = loaded
            self.late = late
        }
    }

    private let models: any ModelRepository
    private let routes: any ModelRouteRepository
    private let nodes: any NodeRepository
    private let comparison: ModelGuard
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp
    private let announce: @Sendable () async -> Void

    /// - Parameter announce: Called after a change that nodes should not find out by their own reads.
    package init(
        models: any ModelRepository,
        routes: any ModelRouteRepository,
        nodes: any NodeRepository,
        comparison: ModelGuard,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp,
        announce: @escaping @Sendable () async -> Void = {}
    ) {
        self.models = models
        self.routes = routes
        self.nodes = nodes
        self.comparison = comparison
        self.log = log
        self.wallClock = wallClock
        self.announce = announce
    }

    package func standing(tenant: Tenant.ID) async throws(RolloutError) -> ModelStanding {
        try await Self.mapped { () async throws(RepositoryError) in try await self.routes.standing(tenant: tenant) }
    }

    /// Makes a version the active one, or one that serves a share of the users beside it.
    ///
    /// - Parameters:
    ///   - share: Hundredths of a percent.
    ///   - force: However it compares.
    ///   - dryRun: Only compares.
    ///   - limit: How long to wait for the nodes.
    package func activate(
        _ number: ModelVersion.Number,
        share: Int = 10_000,
        force: Bool = false,
        dryRun: Bool = false,
        tenant: Tenant.ID,
        waiting limit: Duration = .seconds(10)
    ) async throws(RolloutError) -> Outcome {
        let candidate = try await self.version(number, tenant: tenant)
        let standing = try await self.standing(tenant: tenant)
        let finding: ModelGuard.Finding =
            standing.active == number ? .passed : self.comparison.finding(candidate, active: standing.active)
        if case .failed(let shortfall) = finding, !force { throw .refused(shortfall) }
        if dryRun { return Outcome(standing: standing, finding: finding, late: []) }
        var spread = Spread(loaded: 0, late: [])
        if standing.active != number { spread = try await self.load(number, tenant: tenant, waiting: limit) }
        if !spread.late.isEmpty {
            self.log.warning(
                "activating although nodes have not loaded the model",
                metadata: [
                    "model": "\(ModelVersion.name(number))", "nodes": "\(spread.late.joined(separator: ","))",
                ]
            )
        }
        let switched = try await Self.mapped { () async throws(RepositoryError) in
            try await self.routes.activate(number, share: share, tenant: tenant)
        }
        self.log.info(
            "model activated",
            metadata: ["model": "\(ModelVersion.name(number))", "tenant": "\(tenant)", "share": "\(share)"]
        )
        await self.announce()
        return Outcome(standing: switched, finding: finding, late: spread.late)
    }

    /// Has every live node load a version, and waits until they have, as long as that is allowed to take.
    package func warm(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID,
        waiting limit: Duration = .seconds(10)
    ) async throws(RolloutError) -> Spread {
        _ = try await self.version(number, tenant: tenant)
        return try await self.load(number, tenant: tenant, waiting: limit)
    }

    private func load(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID,
        waiting limit: Duration
    ) async throws(RolloutError) -> Spread {
        let deadline = ContinuousClock.now.advanced(by: limit)
        var spread = try await self.spread(of: number)
        // One that all of them hold, as the newest ready one and the one before, is not asked for again.
        if spread.late.isEmpty, spread.loaded > 0 { return spread }
        _ = try await Self.mapped { () async throws(RepositoryError) in
            try await self.routes.warm(number, tenant: tenant)
        }
        await self.announce()
        while !spread.late.isEmpty, ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(100)) } catch { throw .cancelled }
            spread = try await self.spread(of: number)
        }
        return spread
    }

    /// Nodes that were seen within the last five seconds count.
    package func spread(of number: ModelVersion.Number) async throws(RolloutError) -> Spread {
        let nodes = try await Self.mapped { () async throws(RepositoryError) in try await self.nodes.nodes() }
        let now = self.wallClock().microseconds
        let live = nodes.filter { now - $0.seenAt.microseconds < 5_000_000 }
        let late = live.filter { !$0.loadedModels.contains(number) }.map(\.id)
        return Spread(loaded: live.count - late.count, late: late)
    }

    /// Takes a version that serves out of service, for the one before it, which every node still holds.
    package func rollback(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID
    ) async throws(RolloutError) -> ModelStanding {
        _ = try await self.version(number, tenant: tenant)
        let standing = try await Self.mapped { () async throws(RepositoryError) in
            try await self.routes.rollback(number, tenant: tenant)
        }
        self.log.info(
            "model rolled back",
            metadata: ["model": "\(ModelVersion.name(number))", "tenant": "\(tenant)"]
        )
        await self.announce()
        return standing
    }

    /// Gives up a version that does not serve. The control log id.
    package func retire(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RolloutError) -> Int64 {
        _ = try await self.version(number, tenant: tenant)
        let epoch = try await Self.mapped { () async throws(RepositoryError) in
            try await self.routes.retire(number, tenant: tenant)
        }
        await self.announce()
        return epoch
    }

    private func version(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID
    ) async throws(RolloutError) -> ModelVersion {
        let versions = try await Self.mapped { () async throws(RepositoryError) in
            try await self.models.versions(tenant: tenant)
        }
        guard let version = versions.first(where: { $0.number == number }) else { throw .unknown(number) }
        return version
    }

    private static func mapped<Result>(
        _ body: () async throws(RepositoryError) -> Result
    ) async throws(RolloutError) -> Result {
        do {
            return try await body()
        } catch {
            throw .repository(error)
        }
    }
}
