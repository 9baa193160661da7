import Metrics

/// What looking for one of many came to.
struct BulkLook {
    /// May be served.
    var fresh: (CacheEntry, CacheTier)?
    /// Valid, past its soft expiry.
    var stale: CacheEntry?
    /// Taken before the look.
    var note = LocalCache.Note(session: nil, stripe: 0)
    /// L2 could not be asked.
    var withoutShared = false

    /// Takes an entry that may be served.
    mutating func place(_ entry: CacheEntry, _ tier: CacheTier, now: Int64) {
        if now < entry.softExpiry { self.fresh = (entry, tier) } else { self.stale = entry }
    }
}

extension TieredCache {
    /// Looks in L1 for each, and in L2 at once for all that L1 may not serve. What L2 cannot vouch for, because it does not know
    /// the floor or is not believed, is held against the versions in PostgreSQL, in one statement.
    func look(_ requests: [CacheRequest]) async -> [BulkLook] {
        var looks = [BulkLook](repeating: BulkLook(), count: requests.count)
        // Known to this node, and to be verified before it is served.
        var unverified: [Int: CacheEntry] = [:]
        var asked: [Int] = []
        let now = self.keeper.milliseconds()
        let standing = self.keeper.standing()
        for (index, request) in requests.enumerated() {
            let (key, field) = (request.place.key, request.place.field)
            looks[index].note = LocalCache.Note(
                session: standing.session,
                stripe: self.keeper.local.stripe(of: key)
            )
            if let hit = self.keeper.local.find(key, field), hit.entry.version >= request.minimumVersion {
                if now >= hit.entry.hardExpiry {
                    self.keeper.local.expire(key, at: now)
                } else if standing.isLive, hit.session == standing.session {
                    self.metrics.localHits.increment()
                    looks[index].place(hit.entry, .local, now: now)
                    if looks[index].fresh != nil { continue }
                } else {
                    unverified[index] = hit.entry
                }
            }
            if looks[index].stale == nil, unverified[index] == nil { self.metrics.localMisses.increment() }
            asked.append(index)
        }
        guard !asked.isEmpty else { return looks }
        let wasTrusted = self.keeper.isSharedTrusted
        let reads: [SharedRead]
        do {
            reads = try await self.shared.read(asked.map { requests[$0].place })
        } catch {
            self.metrics.sharedErrors.increment()
            for index in asked { looks[index].withoutShared = true }
            return looks
        }
        let isTrusted = asked.allSatisfy { wasTrusted && self.keeper.believesShared(of: requests[$0].place.key) }
        var doubtful: [(index: Int, entry: CacheEntry, tier: CacheTier)] = []
        for (index, read) in zip(asked, reads) {
            if let entry = self.shared(read, requests[index], now: now) {
                if isTrusted {
                    self.take(entry, .shared, requests[index], into: &looks[index], now: now)
                } else {
                    doubtful.append((index, entry, .shared))
                }
            } else if let entry = unverified[index] {
                if let floor = read.floor, entry.version < floor {
                    self.metrics.localVoid.increment()
                } else if isTrusted, read.floor != nil {
                    self.take(entry, .local, requests[index], into: &looks[index], now: now)
                } else {
                    doubtful.append((index, entry, .local))
                }
            }
        }
        guard !doubtful.isEmpty else { return looks }
        let keys = doubtful.map { requests[$0.index].place.key }
        let versions = (try? await self.lookup.bulkVersions.versions(of: keys)) ?? keys.map { _ in 0 }
        for ((index, entry, tier), version) in zip(doubtful, versions) {
            if CacheLookup.isCurrent(entry, version) {
                self.take(entry, tier, requests[index], into: &looks[index], now: now)
            } else if tier == .local {
                self.metrics.localVoid.increment()
            } else {
                self.metrics.untrusted.increment()
            }
        }
        return looks
    }

    /// An entry that was asked for in L2 and may be served.
    private func take(
        _ entry: CacheEntry,
        _ tier: CacheTier,
        _ request: CacheRequest,
        into look: inout BulkLook,
        now: Int64
    ) {
        (tier == .local ? self.metrics.localVerified : self.metrics.sharedHits).increment()
        self.lookup.promote(entry, request.place.key, request.place.field, look.note)
        look.place(entry, tier, now: now)
    }

    /// The entry of L2 that may be served, as far as its floor says.
    private func shared(_ read: SharedRead, _ request: CacheRequest, now: Int64) -> CacheEntry? {
        guard let bytes = read.entry, let floor = read.floor else {
            self.metrics.sharedMisses.increment()
            return nil
        }
        do {
            let entry = try CacheEntry(decoding: bytes, key: request.place.key, field: request.place.field)
            guard entry.version >= max(floor, request.minimumVersion), now < entry.hardExpiry else {
                self.metrics.sharedMisses.increment()
                return nil
            }
            return entry
        } catch {
            self.metrics.undecodable(error)
            return nil
        }
    }
}
