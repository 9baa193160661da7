import Metrics

/// One of many entries that are asked for together.
public struct CacheRequest: Sendable {
    /// Whose entry, and which.
    public let place: CachePlace
    /// Of the entry, if it is computed now.
    public let lifetimes: Lifetimes
    /// Nothing below this version will do; 0: any that may be served.
    public let minimumVersion: Int64
    /// Whether a stale copy may be the answer.
    public let servesStale: Bool

    /// A request of these parts.
    public init(place: CachePlace, lifetimes: Lifetimes, minimumVersion: Int64 = 0, servesStale: Bool = true) {
        self.place = place
        self.lifetimes = lifetimes
        self.minimumVersion = minimumVersion
        self.servesStale = servesStale
    }
}

/// Many entries at once, by the rules of ``TieredCache/entry(for:_:lifetimes:minVersion:cold:compute:)``: one read of L2 for
/// all that L1 may not serve, and one computation for all that L2 may not.
///
/// What differs is where a single caller would ask the store about one owner, or wait:
/// - While L2 is not trusted, what would be checked against the version in PostgreSQL is computed.
/// - What another node computes at the moment is not waited for: a stale copy is served, or the entry is computed and stored
///   nowhere.
/// - A flight of this node is waited for only after this call's own have landed, so that no two calls wait for each other.
extension TieredCache {
    /// The entries of many places, which should differ, in their order.
    ///
    /// - Parameter compute: Takes indices into `requests` and gives a computation for each; opens its snapshot when it is
    ///   called. Called once, and again only for what a joined flight did not bring.
    public func entries<Failure: Error>(
        for requests: [CacheRequest],
        compute: ([Int]) async throws(Failure) -> [Computation]
    ) async -> [Result<CacheAnswer, Failure>] {
        let start = ContinuousClock.now
        var looks = await self.look(requests)
        for index in requests.indices where !requests[index].servesStale { looks[index].stale = nil }
        let found = ContinuousClock.now
        var answers = [Result<CacheAnswer, Failure>?](repeating: nil, count: requests.count)
        func answer(_ index: Int, _ entry: CacheEntry, _ tier: CacheTier, withoutShared: Bool, _ compute: Duration) {
            answers[index] = .success(
                CacheAnswer(
                    entry: entry,
                    tier: tier,
                    withoutShared: withoutShared,
                    lookup: found - start,
                    compute: compute
                )
            )
        }
        var pending: [Int] = []
        for index in requests.indices {
            if let (entry, tier) = looks[index].fresh {
                answer(index, entry, tier, withoutShared: false, .zero)
            } else {
                pending.append(index)
            }
        }
        while !pending.isEmpty {
            let standing = self.keeper.standing()
            var flights: [Flight] = []
            var joins: [(index: Int, ticket: FlightTable.Ticket)] = []
            for index in pending {
                let place = requests[index].place
                let stripe = self.keeper.local.stripe(of: place.key)
                let note = LocalCache.Note(session: standing.session, stripe: stripe)
                let name = FlightTable.Name(key: place.key, field: place.field)
                switch self.flights.enter(name, note: note, isLive: standing.isLive) {
                case .fly(let ticket):
                    flights.append(Flight(index: index, ticket: ticket, note: note, look: looks[index]))
                case .join(let ticket): joins.append((index, ticket))
                }
            }
            for (flight, landing) in await self.fly(flights, requests, compute: compute) {
                switch landing {
                case .success(let (entry, tier, withoutShared)):
                    answer(flight.index, entry, tier, withoutShared: withoutShared, ContinuousClock.now - found)
                case .failure(let error): answers[flight.index] = .failure(error)
                }
            }
            pending = []
            for (index, ticket) in joins {
                let landing = await self.flights.landing(of: ticket)
                if case .filled(let entry) = landing, entry.version >= requests[index].minimumVersion {
                    self.metrics.joined.increment()
                    answer(index, entry, .computed, withoutShared: false, ContinuousClock.now - found)
                } else {
                    self.metrics.joinsRejected.increment()
                    pending.append(index)
                }
            }
        }
        return answers.map { $0! }
    }

    /// What looking for one of many came to.
    fileprivate struct BulkLook {
        /// May be served.
        var fresh: (CacheEntry, CacheTier)?
        /// Valid, past its soft expiry.
        var stale: CacheEntry?
        /// Taken before the look.
        var note = LocalCache.Note(session: nil, stripe: 0)
        /// L2 could not be asked.
        var withoutShared = false
    }

    private func look(_ requests: [CacheRequest]) async -> [BulkLook] {
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

    // MARK: Flying

    private struct Flight {
        let index: Int
        let ticket: FlightTable.Ticket
        let note: LocalCache.Note
        let look: BulkLook
        var lease: ComputeLease?
        var withoutShared = false

        var name: FlightTable.Name { self.ticket.name }
        var key: CacheKey { self.name.key }
    }

    private typealias Flown<Failure: Error> = Result<(CacheEntry, CacheTier, withoutShared: Bool), Failure>

    /// Leases for all, one computation, fills for all; every flight has landed when this returns.
    private func fly<Failure: Error>(
        _ flights: [Flight],
        _ requests: [CacheRequest],
        compute: ([Int]) async throws(Failure) -> [Computation]
    ) async -> [(Flight, Flown<Failure>)] {
        var flown: [(Flight, Flown<Failure>)] = []
        var computing: [Flight] = []
        for (flight, isForeign) in await self.lease(flights) {
            if isForeign, let stale = await self.stale(flight) {
                self.metrics.stale.increment()
                self.flights.land(flight.ticket, .busy)
                flown.append((flight, .success((stale, .stale, withoutShared: false))))
            } else {
                computing.append(flight)
            }
        }
        guard !computing.isEmpty else { return flown }
        let start = ContinuousClock.now
        let computations: [Computation]
        do throws(Failure) {
            computations = try await compute(computing.map(\.index))
        } catch {
            await self.release(computing)
            for flight in computing {
                self.flights.land(flight.ticket, .failed)
                if let stale = await self.stale(flight) {
                    self.metrics.stale.increment()
                    flown.append((flight, .success((stale, .stale, withoutShared: flight.withoutShared))))
                } else {
                    flown.append((flight, .failure(error)))
                }
            }
            return flown
        }
        let elapsed = ContinuousClock.now - start
        let cost = UInt32(clamping: elapsed.nanoseconds / 1_000 / Int64(computing.count))
        let now = self.keeper.milliseconds()
        let entries = zip(computing, computations).map { flight, computation in
            let lifetimes = requests[flight.index].lifetimes
            return CacheEntry(
                version: computation.version,
                computedAt: now,
                softExpiry: now + lifetimes.soft.milliseconds,
                hardExpiry: now + lifetimes.hard.milliseconds,
                cost: cost,
                payload: computation.payload
            )
        }
        for entry in entries { self.metrics.computed(entry, elapsed / computing.count) }
        let outcomes = await self.fill(computing, entries, computations, requests)
        for (position, flight) in computing.enumerated() {
            let entry = entries[position]
            let isFilled = outcomes[position] == .stored
            if !computations[position].isCacheable {
                self.flight.remember(flight.key, flight.name.field, version: entry.version, note: flight.note)
            }
            if isFilled { self.lookup.promote(entry, flight.key, flight.name.field, flight.note) }
            self.flights.land(flight.ticket, isFilled ? .filled(entry) : .refused)
            let withoutShared = flight.withoutShared || outcomes[position] == .failed
            flown.append((flight, .success((entry, .computed, withoutShared: withoutShared))))
        }
        return flown
    }

    /// The stale copy that was found, if it may still be served.
    private func stale(_ flight: Flight) async -> CacheEntry? {
        guard let stale = flight.look.stale,
            await self.lookup.mayStillServe(stale, flight.key, flight.name.field, note: flight.look.note)
        else { return nil }
        return stale
    }

    /// Takes the compute leases, all at once on the wire; also says which another node holds.
    private func lease(_ flights: [Flight]) async -> [(Flight, isForeign: Bool)] {
        let duration = self.settings.computeLease
        return await withTaskGroup(of: (Int, Flight, Bool).self) { group in
            for (position, flight) in flights.enumerated() {
                group.addTask {
                    var flight = flight
                    // What could not be read a moment ago is not waited for again.
                    guard !flight.look.withoutShared else {
                        flight.withoutShared = true
                        return (position, flight, false)
                    }
                    do {
                        switch try await self.shared.acquireLease(on: flight.key, for: duration) {
                        case .granted(let lease): flight.lease = lease
                        case .held: return (position, flight, true)
                        }
                    } catch {
                        self.metrics.sharedErrors.increment()
                        flight.withoutShared = true
                    }
                    return (position, flight, false)
                }
            }
            var leased: [(Int, Flight, Bool)] = []
            for await one in group { leased.append(one) }
            return leased.sorted { $0.0 < $1.0 }.map { ($0.1, isForeign: $0.2) }
        }
    }

    private enum Filling {
        case stored, notStored, failed
    }

    /// Stores what was computed under a lease, all at once on the wire, and gives the other leases back.
    private func fill(
        _ flights: [Flight],
        _ entries: [CacheEntry],
        _ computations: [Computation],
        _ requests: [CacheRequest]
    ) async -> [Filling] {
        await withTaskGroup(of: (Int, Filling).self) { group in
            for (position, flight) in flights.enumerated() {
                guard let lease = flight.lease else { continue }
                let (key, field, entry) = (flight.key, flight.name.field, entries[position])
                let isCacheable = computations[position].isCacheable
                let keepFor = requests[flight.index].lifetimes.hard
                group.addTask {
                    guard isCacheable else {
                        await self.flight.release(lease, key)
                        return (position, .notStored)
                    }
                    do {
                        let outcome = try await self.shared.fill(
                            key,
                            field,
                            entry: entry.encoded(key: key, field: field),
                            version: entry.version,
                            lease: lease,
                            keepFor: keepFor
                        )
                        if outcome != .stored { self.metrics.refused(outcome) }
                        return (position, outcome == .stored ? .stored : .notStored)
                    } catch {
                        self.metrics.fillErrors.increment()
                        return (position, .failed)
                    }
                }
            }
            var outcomes = [Filling](repeating: .notStored, count: flights.count)
            for await (position, outcome) in group { outcomes[position] = outcome }
            return outcomes
        }
    }

    private func release(_ flights: [Flight]) async {
        await withDiscardingTaskGroup { group in
            for flight in flights {
                guard let lease = flight.lease else { continue }
                group.addTask { await self.flight.release(lease, flight.key) }
            }
        }
    }
}

extension TieredCache.BulkLook {
    /// Takes an entry that may be served.
    fileprivate mutating func place(_ entry: CacheEntry, _ tier: CacheTier, now: Int64) {
        if now < entry.softExpiry { self.fresh = (entry, tier) } else { self.stale = entry }
    }
}
