import Logging
import RecommendationCore

/// One import from its first chunk to the generation bump.
struct ImportRun {
    private static let itemsPerChunk = 5_000

    private let attempts: RepositoryAttempts
    private let tenant: Tenant.ID
    private let extent: ImportExtent
    private let interactionFile: String
    private let start: ContinuousClock.Instant

    private var report = ImportReport()
    private var pacing = ChunkPacing()
    private var raised: Set<User.ID> = []
    private var bytes = 0
    /// Whether something was stored, or may have been: then what was computed before has to go.
    private var isDirty = false

    init(attempts: RepositoryAttempts, tenant: Tenant.ID, extent: ImportExtent, interactionFile: String) {
        self.attempts = attempts
        self.tenant = tenant
        self.extent = extent
        self.interactionFile = interactionFile
        self.start = attempts.now()
    }

    mutating func transfer<Source: ImportSource & ~Copyable>(
        _ source: OffPoolSource<Source>,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        do throws(ImportError) {
            let tenant = self.tenant
            _ = try await self.call { (repository) throws(RepositoryError) in
                try await repository.ensureTenant(tenant)
            }
            try await self.transferItems(of: source, progress: progress)
            try await self.transferInteractions(of: source, progress: progress)
        } catch {
            throw await self.stopped(error)
        }
        if self.isDirty {
            do throws(RepositoryAttempts.Failure) {
                self.report.generation = try await self.raiseGeneration()
            } catch {
                throw self.importError(error, generation: .due)
            }
        }
        self.report.usersRaised = self.raised.count
        self.report.duration = self.start.duration(to: self.attempts.now())
        return self.report
    }

    private mutating func transferItems<Source: ImportSource & ~Copyable>(
        of source: OffPoolSource<Source>,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) {
        var isLast = false
        while !isLast {
            let batch = try await source.nextItems(limit: Self.itemsPerChunk)
            isLast = batch.isLast
            self.bytes = batch.bytes
            self.report.rejected.add(batch.rejected)
            if !batch.rows.isEmpty {
                let tenant = self.tenant
                let stored = try await self.call { (repository) throws(RepositoryError) in
                    try await repository.store(items: batch.rows, tenant: tenant)
                }.value
                self.report.itemsNew += stored.new
                self.report.itemsChanged += stored.changed
                self.report.itemsUnchanged += stored.unchanged
                if stored.new + stored.changed > 0 { self.isDirty = true }
            }
            progress(self.progress)
        }
    }

    private mutating func transferInteractions<Source: ImportSource & ~Copyable>(
        of source: OffPoolSource<Source>,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) {
        var isLast = false
        while !isLast {
            let batch = try await source.nextInteractions(limit: self.pacing.size)
            isLast = batch.isLast
            self.bytes = batch.bytes
            var rejected = batch.rejected
            if !batch.rows.isEmpty {
                let unknown = try await self.store(batch.rows).unknownItems
                rejected.add(unknownItems: unknown, file: self.interactionFile)
            }
            self.report.rejected.add(rejected)
            progress(self.progress)
        }
    }

    private mutating func store(_ rows: [ImportedInteraction]) async throws(ImportError) -> ImportedChunk {
        let outcome = try await self.attemptStore(rows)
        let chunk = outcome.value
        self.pacing.stored(rows: rows.count, in: outcome.duration)
        self.raised.formUnion(chunk.raised)
        self.report.interactionsStored += chunk.stored
        self.report.interactionsUnchanged += chunk.unchanged
        if chunk.stored > 0 { self.isDirty = true }
        return chunk
    }

    /// Apart from the above, so that nothing else holds the set of users when it grows: millions of them are not copied.
    private mutating func attemptStore(
        _ rows: [ImportedInteraction]
    ) async throws(ImportError) -> RepositoryAttempts.Outcome<ImportedChunk> {
        let (tenant, raised) = (self.tenant, self.raised)
        return try await self.call { (repository) throws(RepositoryError) in
            try await repository.store(interactions: rows, alreadyRaised: raised, tenant: tenant)
        }
    }

    private mutating func call<Value>(
        _ body: (any ImportRepository) async throws(RepositoryError) -> Value
    ) async throws(ImportError) -> RepositoryAttempts.Outcome<Value> {
        do throws(RepositoryAttempts.Failure) {
            let outcome = try await self.attempts(body)
            if outcome.followsUnknown { self.isDirty = true }
            return outcome
        } catch {
            if error.mayBeStored { self.isDirty = true }
            throw self.importError(error, generation: .untouched)
        }
    }

    // MARK: The end

    /// Raises the generation also where the import was cancelled: what it has stored is there.
    private func raiseGeneration() async throws(RepositoryAttempts.Failure) -> Int64 {
        let (attempts, tenant) = (self.attempts, self.tenant)
        // A task of its own is not cancelled with this one; it is awaited right here.
        let task = Task { () -> Result<Int64, RepositoryAttempts.Failure> in
            do throws(RepositoryAttempts.Failure) {
                return .success(
                    try await attempts { (repository) throws(RepositoryError) in
                        try await repository.finish(tenant: tenant)
                    }.value
                )
            } catch {
                return .failure(error)
            }
        }
        return try await task.value.get()
    }

    /// Closes an import that cannot go on; the error says how far it got.
    private func stopped(_ error: ImportError) async -> ImportError {
        var generation = ImportPosition.Generation.untouched
        if self.isDirty {
            do throws(RepositoryAttempts.Failure) {
                _ = try await self.raiseGeneration()
                generation = .raised
            } catch {
                generation = .due
                self.attempts.log.error(
                    "import stopped and the generation was not raised",
                    metadata: ["tenant": "\(self.tenant)", "error": "\(error.cause)"]
                )
            }
        }
        return switch error {
        case .repository(let error, _): .repository(error, reached: self.position(generation))
        case .cancelled: .cancelled(reached: self.position(generation))
        case .unreadable, .badHeader, .lineTooLong, .outOfRange: error
        }
    }

    private func importError(
        _ failure: RepositoryAttempts.Failure,
        generation: ImportPosition.Generation
    ) -> ImportError {
        switch failure.cause {
        case .repository(let error): .repository(error, reached: self.position(generation))
        case .cancelled: .cancelled(reached: self.position(generation))
        }
    }

    private func position(_ generation: ImportPosition.Generation) -> ImportPosition {
        ImportPosition(items: self.report.items, interactions: self.report.interactions, generation: generation)
    }

    private var progress: ImportProgress {
        var progress = ImportProgress(
            rows: self.report.items + self.report.interactions + self.report.rejected.count,
            bytes: self.bytes,
            elapsed: self.start.duration(to: self.attempts.now())
        )
        switch self.extent {
        case .bytes(let total): progress.totalBytes = total
        case .rows(let total): progress.totalRows = total
        }
        return progress
    }
}
