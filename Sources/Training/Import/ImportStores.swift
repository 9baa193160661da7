import RecommendationCore

/// What became of items.
struct StoredItems: Sendable {
    var counts = ImportedCounts()
    /// An attempt may have been stored of which the counts do not tell.
    var mayBeMore = false
    var failure: RepositoryAttempts.Failure?

    var isDirty: Bool { self.mayBeMore || self.counts.new + self.counts.changed > 0 }
}

/// What became of interactions.
struct StoredRows: Sendable {
    var chunk = ImportedChunk(stored: 0, unchanged: 0, unknownItems: [], raised: [])
    /// The longest of the attempts that succeeded: they ran beside each other.
    var duration = Duration.zero
    /// An attempt may have been stored of which the counts do not tell.
    var mayBeMore = false
    var failure: RepositoryAttempts.Failure?

    var isDirty: Bool { self.mayBeMore || self.chunk.stored > 0 }
}

extension RepositoryAttempts {
    /// Stores items, as many at once as one transaction takes, up to the first failure.
    func store(_ items: [ImportedItem], onlyNew: Bool, tenant: Tenant.ID) async -> StoredItems {
        var whole = StoredItems()
        for start in stride(from: 0, to: items.count, by: ImportPart.documents) {
            let rows = Array(items[start..<min(start + ImportPart.documents, items.count)])
            do throws(Failure) {
                let outcome = try await self { (repository) throws(RepositoryError) in
                    try await repository.store(items: rows, onlyNew: onlyNew, tenant: tenant)
                }
                whole.counts.new += outcome.value.new
                whole.counts.changed += outcome.value.changed
                whole.counts.unchanged += outcome.value.unchanged
                if outcome.followsUnknown { whole.mayBeMore = true }
            } catch {
                if error.mayBeStored { whole.mayBeMore = true }
                whole.failure = error
                return whole
            }
        }
        return whole
    }

    /// Stores interactions by as many transactions beside each other as the store has lanes, those of a user by one of them.
    ///
    /// What one lane has stored counts although another one has failed.
    func store(_ rows: [ImportedInteraction], by interactions: any InteractionImport) async -> StoredRows {
        await withTaskGroup(of: Result<Outcome<ImportedChunk>, Failure>.self) { group in
            for lane in Self.lanes(of: rows, count: interactions.lanes) {
                group.addTask {
                    do throws(Failure) {
                        return .success(
                            try await self { (_) throws(RepositoryError) in try await interactions.store(lane) }
                        )
                    } catch {
                        return .failure(error)
                    }
                }
            }
            var whole = StoredRows()
            for await lane in group {
                switch lane {
                case .success(let outcome):
                    whole.chunk.stored += outcome.value.stored
                    whole.chunk.unchanged += outcome.value.unchanged
                    whole.chunk.unknownItems += outcome.value.unknownItems
                    whole.chunk.raised += outcome.value.raised
                    whole.duration = max(whole.duration, outcome.duration)
                    if outcome.followsUnknown { whole.mayBeMore = true }
                case .failure(let failure):
                    if failure.mayBeStored { whole.mayBeMore = true }
                    whole.failure = whole.failure ?? failure
                }
            }
            whole.chunk.unknownItems.sort()
            return whole
        }
    }

    /// Fewer rows than this are not worth a second transaction.
    static let smallestLane = 1_000

    /// Shares rows out by user, each lane in the order of the rows.
    static func lanes(of rows: [ImportedInteraction], count: Int) -> [[ImportedInteraction]] {
        let count = min(count, rows.count / Self.smallestLane)
        guard count > 1 else { return [rows] }
        var lanes = [[ImportedInteraction]](repeating: [], count: count)
        for lane in lanes.indices { lanes[lane].reserveCapacity(rows.count / count * 5 / 4) }
        // Files are often sorted by user.
        var last: (user: User.ID, lane: Int)?
        for row in rows {
            let lane: Int
            if let last, last.user == row.user {
                lane = last.lane
            } else {
                // FNV-1a, and a step that mixes what ids with few bytes leave in order: the same shares in every run.
                let hash = row.user.string.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { hash, byte in
                    (hash ^ UInt64(byte)) &* 0x100_0000_01B3
                }
                lane = Int((((hash ^ hash >> 32) &* 0xFF51_AFD7_ED55_8CCD) >> 32) % UInt64(count))
                last = (row.user, lane)
            }
            lanes[lane].append(row)
        }
        return lanes.filter { !$0.isEmpty }
    }
}
