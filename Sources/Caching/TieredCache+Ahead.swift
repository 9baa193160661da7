/// Entries for callers that gather what they need and are told of each as it comes: one read of L2 for all, then one
/// computation for all that nobody has. Whatever is not plain is left to ``TieredCache/entry(for:_:lifetimes:minVersion:cold:compute:)``:
/// stale copies, what another flight or node computes, owners that are known to be cold, what is missing from a Redis that is
/// not believed.
extension TieredCache {
    /// What a look in L2 came to.
    public enum SharedLook: Sendable {
        /// May be served; L1 has been offered it.
        case fresh(CacheEntry)
        /// No tier holds an entry: it may be computed.
        case missing
        /// Neither; nothing was counted.
        case unclear
    }

    /// Looks for many places, each missed by L1, in one read of L2.
    public func sharedEntries(of places: [CachePlace]) async -> [SharedLook] {
        var looks = [SharedLook](repeating: .unclear, count: places.count)
        let (now, standing) = (self.keeper.milliseconds(), self.keeper.standing())
        guard standing.isLive else { return looks }
        let asked = places.indices.filter { index in
            let stripe = self.keeper.local.stripe(of: places[index].key)
            let note = LocalCache.Note(session: standing.session, stripe: stripe)
            return self.lookup.coldOwners.version(places[index].key, places[index].field, note: note, at: now) == nil
        }
        // Lifetimes are of what is computed, which nothing is here.
        let unused = Lifetimes(soft: .zero, hard: .zero)
        let found = await self.look(asked.map { CacheRequest(place: places[$0], lifetimes: unused) })
        let isTrusted = self.keeper.isSharedTrusted
        for (index, look) in zip(asked, found) {
            if let (entry, _) = look.fresh {
                let isDue = EarlyRefresh.isNear(entry, at: self.keeper.milliseconds())
                looks[index] = isDue ? .unclear : .fresh(entry)
            } else if look.stale == nil, !look.withoutShared, isTrusted {
                looks[index] = .missing
            }
        }
        return looks
    }

    /// Computes entries that no tier holds, under the fleet's leases, and stores them; nil, of each, where somebody else is
    /// about it, where that failed, or where Redis took no part.
    ///
    /// - Parameter compute: Takes indices into `requests`; opens its snapshot when it is called.
    public func computedEntries<Failure: Error>(
        for requests: [CacheRequest],
        compute: ([Int]) async throws(Failure) -> [Computation]
    ) async -> [CacheEntry?] {
        var entries = [CacheEntry?](repeating: nil, count: requests.count)
        let standing = self.keeper.standing()
        guard standing.isLive else { return entries }
        var flights: [BulkFlight] = []
        for index in requests.indices {
            let place = requests[index].place
            let stripe = self.keeper.local.stripe(of: place.key)
            let note = LocalCache.Note(session: standing.session, stripe: stripe)
            let name = FlightTable.Name(key: place.key, field: place.field)
            guard case .fly(let ticket) = self.flights.enter(name, note: note, isLive: true) else { continue }
            flights.append(BulkFlight(index: index, ticket: ticket, note: note, look: BulkLook()))
        }
        for (flight, landing) in await self.fly(flights, requests, besideOthers: false, compute: compute) {
            if case .success(let (entry, .computed, withoutShared)) = landing, !withoutShared {
                entries[flight.index] = entry
            }
        }
        return entries
    }
}
