package import Logging
package import RecommendationCore

/// A kind of files that can be imported.
package enum ImportFormat: String, CaseIterable, Sendable {
    case movieLens = "movielens"
}

/// Brings files and demo data into the store.
///
/// A rerun changes nothing, so an import that stopped is run again to go on. What was stored before it stopped takes effect at
/// once: the generation is raised then too.
package struct ImportService: Sendable {
    private let repository: any ImportRepository
    private let log: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let sleep: @Sendable (Duration) async throws -> Void

    package init(
        repository: any ImportRepository,
        log: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now },
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.repository = repository
        self.log = log
        self.now = now
        self.sleep = sleep
    }

    /// Imports the files at a path; lines that cannot be used are reported, never fatal.
    package func run(
        path: String,
        format: ImportFormat,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        switch format {
        case .movieLens: try await self.run(MovieLensReader(folder: path), tenant: tenant, progress: progress)
        }
    }

    /// Imports a synthetic catalogue.
    package func run(
        _ data: DemoData,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        try await self.run(DemoSource(data), tenant: tenant, progress: progress)
    }

    private func run<Source: ImportSource & ~Copyable>(
        _ source: consuming sending Source,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        let attempts = RepositoryAttempts(repository: self.repository, log: self.log, now: self.now, sleep: self.sleep)
        var run = ImportRun(
            attempts: attempts,
            tenant: tenant,
            extent: source.extent,
            interactionFile: source.interactionFile
        )
        let report = try await run.transfer(OffPoolSource(source), progress: progress)
        self.log.info(
            "import finished",
            metadata: [
                "tenant": "\(tenant)", "items_new": "\(report.itemsNew)", "items_changed": "\(report.itemsChanged)",
                "interactions_stored": "\(report.interactionsStored)", "rejected": "\(report.rejected.count)",
                "duration": "\(report.duration)",
            ]
        )
        return report
    }
}
