import Metrics

/// Finds what may be served: in L1, in L2, or known to have no value of its own.
///
/// Every way an entry can be found:
/// - L1, lease live, stamped in the current session: no hop.
/// - L1 otherwise: verified first, against L2's floor, or against the version in PostgreSQL where the floor is not known or
///   not believed; and stamped anew.
/// - A cold owner, lease live, noted in the current session and with the current stripe: no hop.
/// - L2: `version >= floor`, the floor known; checked against PostgreSQL too while L2 is not believed; promoted to L1.
struct CacheLookup: Sendable {
    let keeper: CoherenceKeeper
    let shared: any SharedCache
    let versions: TickBatcher<CacheKey, Int64, VersionSourceError>
    /// Asked for many at once.
    let bulkVersions: any VersionSource
    let coldOwners: ColdOwners
    let metrics: PoolMetrics

    /// What a look came to. `asked`: L2 was asked, or need not be.
    enum Look {
        case fresh(CacheEntry, CacheTier, asked: Bool)
        /// Valid, past its soft expiry.
        case stale(CacheEntry, asked: Bool)
        /// The owner has no value of its own, at this version.
        case cold(version: Int64)
        case missing
        /// L2 could not be asked.
        case unavailable
    }

    /// What writes to L1 are conditional on, taken before the first command is sent.
    func note(_ key: CacheKey) -> (note: LocalCache.Note, isLive: Bool) {
        let standing = self.keeper.standing()
        return (LocalCache.Note(session: standing.session, stripe: self.keeper.local.stripe(of: key)), standing.isLive)
    }

    /// - Parameter minVersion: What is older is not found.
    func look(
        _ key: CacheKey,
        _ field: CacheField,
        note: LocalCache.Note,
        isLive: Bool,
        minVersion: Int64
    ) async -> Look {
        let now = self.keeper.milliseconds()
        if let hit = self.keeper.local.find(key, field), hit.entry.version >= minVersion {
            if now >= hit.entry.hardExpiry {
                self.keeper.local.expire(key, at: now)
            } else if isLive, hit.session == note.session {
                self.metrics.localHits.increment()
                return Self.found(hit.entry, .local, asked: true, at: now)
            } else if let asked = await self.verify(hit.entry, key, field, note) {
                self.metrics.localVerified.increment()
                return Self.found(hit.entry, .local, asked: asked, at: now)
            } else {
                self.metrics.localVoid.increment()
            }
        }
        self.metrics.localMisses.increment()
        if isLive, let version = self.coldOwners.version(key, field, note: note, at: now), version >= minVersion {
            self.metrics.negative.hits.increment()
            return .cold(version: version)
        }
        return await self.lookShared(key, field, note: note, minVersion: minVersion)
    }

    /// What L2 holds.
    func lookShared(
        _ key: CacheKey,
        _ field: CacheField,
        note: LocalCache.Note,
        minVersion: Int64
    ) async -> Look {
        let now = self.keeper.milliseconds()
        // Before and after: what was read before trust came back is not covered by it.
        let wasTrusted = self.keeper.isSharedTrusted
        do {
            let read = try await self.shared.read(key, field)
            guard let bytes = read.entry, let floor = read.floor else {
                self.metrics.sharedMisses.increment()
                return .missing
            }
            let entry = try CacheEntry(decoding: bytes, key: key, field: field)
            guard entry.version >= floor, entry.version >= minVersion, now < entry.hardExpiry else {
                self.metrics.sharedMisses.increment()
                return .missing
            }
            if !(wasTrusted && self.keeper.believesShared(of: key)) {
                guard let version = try? await self.versions.load(key), Self.isCurrent(entry, version) else {
                    self.metrics.untrusted.increment()
                    return .missing
                }
            }
            self.promote(entry, key, field, note)
            self.metrics.sharedHits.increment()
            return Self.found(entry, .shared, asked: true, at: now)
        } catch let error as CacheEntryError {
            self.metrics.undecodable(error)
            return .missing
        } catch {
            self.metrics.sharedErrors.increment()
            return .unavailable
        }
    }

    private static func found(_ entry: CacheEntry, _ tier: CacheTier, asked: Bool, at now: Int64) -> Look {
        now < entry.softExpiry ? .fresh(entry, tier, asked: asked) : .stale(entry, asked: asked)
    }

    /// Version 0 is an owner that is gone: nothing of it is current.
    static func isCurrent(_ entry: CacheEntry, _ version: Int64) -> Bool {
        version > 0 && entry.version >= version
    }

    /// Whether an entry of L1 may be served although no lease covers it: by L2's floor, or, where that cannot be asked, is not
    /// known or not believed, by the version in PostgreSQL. Nil: it may not; otherwise whether L2 answered.
    private func verify(
        _ entry: CacheEntry,
        _ key: CacheKey,
        _ field: CacheField,
        _ note: LocalCache.Note
    ) async -> Bool? {
        var isKnown = false
        var asked = true
        let wasTrusted = self.keeper.isSharedTrusted
        do {
            if let floor = try await self.shared.floor(of: key) ?? (self.keeper.faults.has(.nilFloorIsZero) ? 0 : nil) {
                guard entry.version >= floor else {
                    self.keeper.local.drop(key, below: floor)
                    return nil
                }
                isKnown = wasTrusted && self.keeper.believesShared(of: key)
            }
        } catch {
            self.metrics.sharedErrors.increment()
            asked = false
        }
        if !isKnown {
            guard let version = try? await self.versions.load(key) else { return nil }
            guard Self.isCurrent(entry, version) else {
                self.keeper.local.drop(key, below: version > 0 ? version : .max)
                return nil
            }
        }
        self.promote(entry, key, field, note)
        return asked
    }

    /// Whether a copy found earlier, with `note` taken before it was, may still be served: nothing of its stripe was
    /// invalidated since under a live lease, or it is verified anew.
    func mayStillServe(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, note: LocalCache.Note) async -> Bool {
        let (now, isLive) = self.note(key)
        if isLive, now.session != nil, now == note { return true }
        if await self.verify(entry, key, field, now) != nil { return true }
        self.metrics.staleRefused.increment()
        return false
    }

    /// Writes L1 with the session noted before the first command was sent, if neither session nor stripe has moved since.
    /// False: they have.
    @discardableResult
    func promote(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, _ note: LocalCache.Note) -> Bool {
        let note = self.keeper.faults.has(.stampAtEnd) ? self.note(key).note : note
        guard let session = note.session, self.keeper.standing().session == session else { return false }
        guard self.keeper.local.write(entry, key, field, note: note, session: session) else {
            self.metrics.localWritesRefused.increment()
            return false
        }
        return true
    }
}
