import Logging
import RecommendationCore

/// One import from its first chunk to the generation bump.
struct ImportRun {
    private let attempts: RepositoryAttempts
    private let interactions: any InteractionImport
    private let tenant: Tenant.ID
    private let extent: ImportExtent
    private let start: ContinuousClock.Instant

    private var report = ImportReport()
    private var pacing = ChunkPacing()
    private var bytes = 0
    /// Whether something was stored, or may have been: then what was computed before has to go.
    private var isDirty = false

    init(attempts: RepositoryAttempts, tenant: Tenant.ID, extent: ImportExtent) {
        self.attempts = attempts
        self.interactions = attempts.repository.interactions(tenant: tenant)
        self.tenant = tenant
        self.extent = extent
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
            try await self.transferParts(of: source, progress: progress)
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
        self.report.duration = self.start.duration(to: self.attempts.now())
        return self.report
    }

    /// Stores part after part; the next one is read while one is stored.
    private mutating func transferParts<Source: ImportSource & ~Copyable>(
        of source: OffPoolSource<Source>,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) {
        var next = await source.next(limit: self.pacing.size)
        while let part = try next.get() {
            let limit = self.pacing.size
            async let following = source.next(limit: limit)
            let outcome: Result<Void, ImportError>
            do throws(ImportError) {
                outcome = .success(try await self.store(part))
            } catch {
                outcome = .failure(error)
            }
            next = await following
            try outcome.get()
            progress(self.progress)
        }
    }

    private mutating func store(_ part: ImportPart) async throws(ImportError) {
        let tenant = self.tenant
        switch part {
        case .items(let batch):
            self.bytes = batch.bytes
            self.report.rejected.add(batch.rejected)
            try await self.store(items: batch.rows, onlyNew: false)
        case .users(let batch):
            self.bytes = batch.bytes
            self.report.rejected.add(batch.rejected)
            guard !batch.rows.isEmpty else { return }
            let stored = try await self.call { (repository) throws(RepositoryError) in
                try await repository.store(users: batch.rows, tenant: tenant)
            }.value
            self.report.usersNew += stored.new
            self.report.usersChanged += stored.changed
            self.report.usersUnchanged += stored.unchanged
            self.report.usersRaised += stored.new + stored.changed
            if stored.new + stored.changed > 0 { self.isDirty = true }
        case .interactions(let batch):
            self.bytes = batch.bytes
            var rejected = batch.rejected
            try await self.store(items: batch.newItems.map { ImportedItem($0) }, onlyNew: true)
            // The store may have become slower since so many were asked for.
            var rest = batch.rows[...]
            while !rest.isEmpty {
                let rows = Array(rest.prefix(self.pacing.size))
                rest = rest.dropFirst(rows.count)
                rejected.add(try await self.store(rows).unknownItems, file: batch.file, reason: .unknownItem)
            }
            self.report.rejected.add(rejected)
        }
    }

    private mutating func store(items: [ImportedItem], onlyNew: Bool) async throws(ImportError) {
        let tenant = self.tenant
        for start in stride(from: 0, to: items.count, by: ImportPart.documents) {
            let rows = Array(items[start..<min(start + ImportPart.documents, items.count)])
            let stored = try await self.call { (repository) throws(RepositoryError) in
                try await repository.store(items: rows, onlyNew: onlyNew, tenant: tenant)
            }.value
            self.report.itemsNew += stored.new
            self.report.itemsChanged += stored.changed
            self.report.itemsUnchanged += stored.unchanged
            if stored.new + stored.changed > 0 { self.isDirty = true }
        }
    }

    private mutating func store(_ rows: [ImportedInteraction]) async throws(ImportError) -> ImportedChunk {
        let interactions = self.interactions
        let outcome = try await self.call { (_) throws(RepositoryError) in try await interactions.store(rows) }
        let chunk = outcome.value
        self.pacing.stored(rows: rows.count, in: outcome.duration)
        self.report.usersRaised += chunk.raised.count
        self.report.interactionsStored += chunk.stored
        self.report.interactionsUnchanged += chunk.unchanged
        if chunk.stored > 0 { self.isDirty = true }
        return chunk
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
        case .unreadable, .badHeader, .lineTooLong, .outOfRange, .badUsage: error
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
        ImportPosition(
            items: self.report.items,
            users: self.report.users,
            interactions: self.report.interactions,
            generation: generation
        )
    }

    private var progress: ImportProgress {
        var progress = ImportProgress(
            rows: self.report.items + self.report.users + self.report.interactions + self.report.rejected.count,
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
