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
    /// Looks in L1 for each, and in L2 at once for all that L1 may not serve.
    func look(_ requests: [CacheRequest]) async -> [BulkLook] {
        var looks = [BulkLook](repeating: BulkLook(), count: requests.count)
        var notes: [LocalCache.Note] = []
        notes.reserveCapacity(requests.count)
        // Known to this node, and to be verified before it is served.
        var unverified: [Int: CacheEntry] = [:]
        var asked: [Int] = []
        let now = self.keeper.milliseconds()
        let standing = self.keeper.standing()
        for (index, request) in requests.enumerated() {
            let (key, field) = (request.place.key, request.place.field)
            notes.append(LocalCache.Note(session: standing.session, stripe: self.keeper.local.stripe(of: key)))
            looks[index].note = notes[index]
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
        let isTrusted = wasTrusted && self.keeper.isSharedTrusted
        for (index, read) in zip(asked, reads) {
            let place = requests[index].place
            if let entry = self.shared(read, requests[index], now: now) {
                guard isTrusted else {
                    self.metrics.untrusted.increment()
                    continue
                }
                self.metrics.sharedHits.increment()
                self.lookup.promote(entry, place.key, place.field, notes[index])
                looks[index].place(entry, .shared, now: now)
            } else if let entry = unverified[index] {
                guard isTrusted, let floor = read.floor, entry.version >= floor else {
                    self.metrics.localVoid.increment()
                    continue
                }
                self.metrics.localVerified.increment()
                self.lookup.promote(entry, place.key, place.field, notes[index])
                looks[index].place(entry, .local, now: now)
            }
        }
        return looks
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
