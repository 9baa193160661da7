package import Logging
package import RecommendationCore

/// A kind of files that can be imported.
package enum ImportFormat: String, CaseIterable, Sendable {
    case movieLens = "movielens"
    case lightGCN = "lightgcn"
    case ndjson, csv

    /// Whether a file of the format holds documents of one kind, which must be named.
    package var takesKind: Bool { self == .ndjson || self == .csv }
}

/// What is to be imported.
package struct ImportInput: Equatable, Sendable {
    /// A folder for `movielens` and `lightgcn`, a file for the others.
    package var path: String
    package var format: ImportFormat
    /// Of the documents of `ndjson` and `csv`; nil for the others.
    package var kind: DocumentKind?

    package init(path: String, format: ImportFormat, kind: DocumentKind? = nil) {
        self.path = path
        self.format = format
        self.kind = kind
    }
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
        _ input: ImportInput,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        switch (input.format, input.kind) {
        case (.movieLens, nil):
            try await self.run(MovieLensReader(folder: input.path), tenant: tenant, progress: progress)
        case (.lightGCN, nil):
            try await self.run(LightGCNReader(folder: input.path), tenant: tenant, progress: progress)
        case (.ndjson, let kind?):
            try await self.run(DocumentReader(ndjson: input.path, kind: kind), tenant: tenant, progress: progress)
        case (.csv, let kind?):
            try await self.run(DocumentReader(csv: input.path, kind: kind), tenant: tenant, progress: progress)
        default: throw input.badUsage
        }
    }

    /// Reads all of it and stores nothing: what an import would leave out, and what it would find odd.
    package func validate(
        _ input: ImportInput,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ValidationReport {
        switch (input.format, input.kind) {
        case (.movieLens, nil):
            try await self.validate(MovieLensReader(folder: input.path), tenant: tenant, progress: progress)
        case (.lightGCN, nil):
            try await self.validate(LightGCNReader(folder: input.path), tenant: tenant, progress: progress)
        case (.ndjson, let kind?):
            try await self.validate(DocumentReader(ndjson: input.path, kind: kind), tenant: tenant, progress: progress)
        case (.csv, let kind?):
            try await self.validate(DocumentReader(csv: input.path, kind: kind), tenant: tenant, progress: progress)
        default: throw input.badUsage
        }
    }

    private func validate<Source: ImportSource & ~Copyable>(
        _ source: consuming sending Source,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ValidationReport {
        let attempts = RepositoryAttempts(repository: self.repository, log: self.log, now: self.now, sleep: self.sleep)
        var run = ValidationRun(attempts: attempts, tenant: tenant, extent: source.extent)
        return try await run.read(OffPoolSource(source), progress: progress)
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
        var run = ImportRun(attempts: attempts, tenant: tenant, extent: source.extent)
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

extension ImportInput {
    fileprivate var badUsage: ImportError {
        .badUsage(
            self.format.takesKind
                ? "\(self.format.rawValue) needs a kind: items, users or feedback"
                : "\(self.format.rawValue) takes no kind"
        )
    }
}
