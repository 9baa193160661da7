import RecommendationCore

/// One validation: the parts of a source as an import would have them, and nothing stored.
struct ValidationRun {
    /// Interactions at a time; the catalogue is asked once for each.
    private static let chunk = 50_000

    private let attempts: RepositoryAttempts
    private let interactions: any InteractionImport
    private let extent: ImportExtent
    private let start: ContinuousClock.Instant

    private var report = ValidationReport()
    private var bytes = 0
    /// Items that the source itself brings.
    private var items: Set<Item.ID> = []
    /// Events by a hash of what makes them known: 64 bits, because whole files do not fit in memory. Of a hundred million
    /// events, two differ and look equal with a chance of 1 in 3,700.
    private var events: Set<Int> = []
    private var last: Timestamp?

    init(attempts: RepositoryAttempts, tenant: Tenant.ID, extent: ImportExtent) {
        self.attempts = attempts
        self.interactions = attempts.repository.interactions(tenant: tenant)
        self.extent = extent
        self.start = attempts.now()
    }

    mutating func read<Source: ImportSource & ~Copyable>(
        _ source: OffPoolSource<Source>,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ValidationReport {
        while let part = try await source.next(limit: Self.chunk).get() {
            guard !Task.isCancelled else { throw .cancelled(reached: ImportPosition()) }
            switch part {
            case .items(let batch):
                self.bytes = batch.bytes
                self.report.items += batch.rows.count + batch.rejected.count
                self.report.rejected.add(batch.rejected)
                for row in batch.rows { self.items.insert(row.item.id) }
            case .users(let batch):
                self.bytes = batch.bytes
                self.report.users += batch.rows.count + batch.rejected.count
                self.report.rejected.add(batch.rejected)
            case .interactions(let batch):
                self.bytes = batch.bytes
                try await self.examine(batch)
            }
            progress(self.progress)
        }
        self.report.duration = self.start.duration(to: self.attempts.now())
        return self.report
    }

    private mutating func examine(_ batch: ImportBatch<ImportedInteraction>) async throws(ImportError) {
        self.report.interactions += batch.rows.count + batch.rejected.count
        var rejected = batch.rejected
        for item in batch.newItems { self.items.insert(item.id) }
        var strangers: [ImportedInteraction] = []
        var repeated: [Int] = []
        for row in batch.rows {
            if let last, row.occurredAt < last {
                self.report.outOfOrder += 1
                if self.report.firstOutOfOrder == nil {
                    self.report.firstOutOfOrder = .init(file: batch.file, line: row.line)
                }
            }
            self.last = row.occurredAt
            if !self.items.contains(row.item) { strangers.append(row) }
            if !self.events.insert(Self.hash(row)).inserted { repeated.append(row.line) }
        }
        let (interactions, rows) = (self.interactions, strangers)
        var unknown: [Int] = []
        if !rows.isEmpty {
            do throws(RepositoryAttempts.Failure) {
                unknown = try await self.attempts { (_) throws(RepositoryError) in
                    try await interactions.unknownItems(of: rows)
                }.value
            } catch {
                throw switch error.cause {
                case .repository(let error): .repository(error, reached: ImportPosition())
                case .cancelled: .cancelled(reached: ImportPosition())
                }
            }
        }
        rejected.add(unknown, file: batch.file, reason: .unknownItem)
        // A line is left out for one reason.
        let gone = Set(unknown)
        rejected.add(repeated.filter { !gone.contains($0) }, file: batch.file, reason: .duplicateEvent)
        self.report.rejected.add(rejected)
    }

    private static func hash(_ row: ImportedInteraction) -> Int {
        var hasher = Hasher()
        if let id = row.eventID {
            hasher.combine(true)
            hasher.combine(Identifier<ImportedInteraction>(trusted: id))
        } else {
            hasher.combine(row.user)
            hasher.combine(row.item)
            hasher.combine(row.type)
            hasher.combine(row.value)
            hasher.combine(row.occurredAt)
        }
        return hasher.finalize()
    }

    private var progress: ImportProgress {
        var progress = ImportProgress(
            rows: self.report.rows,
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
