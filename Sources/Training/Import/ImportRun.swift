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
    /// What got rows that are new or other than before.
    private var filled: Set<ImportedKind> = []

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
        await self.analyze()
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

    /// A part that was read, and what became of the items that its interactions bring along: they come first.
    private struct ReadyPart {
        var part: ImportPart
        var items = StoredItems()
    }

    /// Stores part after part; while the rows of one are stored, the next one is read and its items are.
    private mutating func transferParts<Source: ImportSource & ~Copyable>(
        of source: OffPoolSource<Source>,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) {
        let (attempts, tenant) = (self.attempts, self.tenant)
        var next = await Self.nextPart(of: source, limit: self.pacing.size, attempts: attempts, tenant: tenant)
        self.count(next)
        while let ready = try next.get() {
            if let failure = ready.items.failure { throw self.importError(failure, generation: .untouched) }
            let limit = self.pacing.size
            async let following = Self.nextPart(of: source, limit: limit, attempts: attempts, tenant: tenant)
            let outcome: Result<Void, ImportError>
            do throws(ImportError) {
                outcome = .success(try await self.store(ready.part))
            } catch {
                outcome = .failure(error)
            }
            next = await following
            self.count(next)
            try outcome.get()
            progress(self.progress)
        }
    }

    private static func nextPart<Source: ImportSource & ~Copyable>(
        of source: OffPoolSource<Source>,
        limit: Int,
        attempts: RepositoryAttempts,
        tenant: Tenant.ID
    ) async -> Result<ReadyPart?, ImportError> {
        do throws(ImportError) {
            guard let part = try await source.next(limit: limit).get() else { return .success(nil) }
            var ready = ReadyPart(part: part)
            if case .interactions(let batch) = part, !batch.newItems.isEmpty {
                let items = batch.newItems.map { ImportedItem($0) }
                ready.items = await attempts.store(items, onlyNew: true, tenant: tenant)
            }
            return .success(ready)
        } catch {
            return .failure(error)
        }
    }

    /// Takes note of the items that came with a part.
    private mutating func count(_ part: Result<ReadyPart?, ImportError>) {
        guard case .success(let ready?) = part else { return }
        self.count(ready.items)
    }

    private mutating func count(_ items: StoredItems) {
        self.report.itemsNew += items.counts.new
        self.report.itemsChanged += items.counts.changed
        self.report.itemsUnchanged += items.counts.unchanged
        if items.isDirty { self.isDirty = true }
        if items.counts.new + items.counts.changed > 0 { self.filled.insert(.items) }
    }

    private mutating func store(_ part: ImportPart) async throws(ImportError) {
        let tenant = self.tenant
        switch part {
        case .items(let batch):
            self.bytes = batch.bytes
            self.report.rejected.add(batch.rejected)
            let stored = await self.attempts.store(batch.rows, onlyNew: false, tenant: tenant)
            self.count(stored)
            if let failure = stored.failure { throw self.importError(failure, generation: .untouched) }
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
            if stored.new + stored.changed > 0 {
                self.isDirty = true
                self.filled.insert(.users)
            }
        case .interactions(let batch):
            self.bytes = batch.bytes
            var rejected = batch.rejected
            // The store may have become slower since so many were asked for.
            var rest = batch.rows[...]
            while !rest.isEmpty {
                let rows = Array(rest.prefix(self.pacing.size))
                rest = rest.dropFirst(rows.count)
                rejected.add(try await self.store(rows), file: batch.file, reason: .unknownItem)
            }
            self.report.rejected.add(rejected)
        }
    }

    /// Returns the lines that name an unknown item.
    private mutating func store(_ rows: [ImportedInteraction]) async throws(ImportError) -> [Int] {
        let stored = await self.attempts.store(rows, by: self.interactions)
        self.report.usersRaised += stored.chunk.raised.count
        self.report.interactionsStored += stored.chunk.stored
        self.report.interactionsUnchanged += stored.chunk.unchanged
        if stored.isDirty { self.isDirty = true }
        if stored.chunk.stored > 0 { self.filled.insert(.interactions) }
        if let failure = stored.failure { throw self.importError(failure, generation: .untouched) }
        self.pacing.stored(rows: rows.count, in: stored.duration)
        return stored.chunk.unknownItems
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

    private func analyze() async {
        guard !self.filled.isEmpty else { return }
        do throws(RepositoryError) {
            try await self.attempts.repository.analyze(self.filled)
        } catch {
            self.attempts.log.warning("no statistics were gathered after the import", metadata: ["error": "\(error)"])
        }
    }

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
