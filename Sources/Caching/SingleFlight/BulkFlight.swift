import Metrics

/// One of many computations that fly together.
struct BulkFlight {
    let index: Int
    let ticket: FlightTable.Ticket
    let note: LocalCache.Note
    let look: BulkLook
    var lease: ComputeLease?
    var withoutShared = false

    var name: FlightTable.Name { self.ticket.name }
    var key: CacheKey { self.name.key }
}

extension TieredCache {
    typealias BulkFlown<Failure: Error> = Result<(CacheEntry, CacheTier, withoutShared: Bool), Failure>

    /// Leases for all, one computation, fills for all; every flight has landed when this returns.
    ///
    /// - Parameter besideOthers: Whether what another node computes is computed here, too; otherwise it lands as busy, and is
    ///   left out.
    func fly<Failure: Error>(
        _ flights: [BulkFlight],
        _ requests: [CacheRequest],
        besideOthers: Bool = true,
        compute: ([Int]) async throws(Failure) -> [Computation]
    ) async -> [(BulkFlight, BulkFlown<Failure>)] {
        var flown: [(BulkFlight, BulkFlown<Failure>)] = []
        var computing: [BulkFlight] = []
        for (flight, isForeign) in await self.lease(flights) {
            if isForeign, let stale = await self.stale(flight) {
                self.metrics.stale.increment()
                self.flights.land(flight.ticket, .busy)
                flown.append((flight, .success((stale, .stale, withoutShared: false))))
            } else if isForeign, !besideOthers {
                self.flights.land(flight.ticket, .busy)
            } else {
                computing.append(flight)
            }
        }
        guard !computing.isEmpty else { return flown }
        let start = ContinuousClock.now
        for flight in computing { if let lease = flight.lease { self.renewals.hold(lease, on: flight.key) } }
        defer { for flight in computing { if let lease = flight.lease { self.renewals.drop(lease) } } }
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
                softExpiry: now + lifetimes.soft(of: computation).milliseconds,
                hardExpiry: now + lifetimes.hard.milliseconds,
                cost: cost,
                payload: computation.payload
            )
        }
        for entry in entries { self.metrics.computed(entry, elapsed / computing.count) }
        let outcomes = await self.fill(computing, entries, computations, requests)
        for (position, flight) in computing.enumerated() {
            let entry = entries[position]
            var isFilled = outcomes[position] == .stored
            if !computations[position].isCacheable, !computations[position].isTransient {
                self.flight.remember(flight.key, flight.name.field, version: entry.version, note: flight.note)
            }
            let withoutShared = flight.withoutShared || outcomes[position] == .failed
            if isFilled {
                self.lookup.promote(entry, flight.key, flight.name.field, flight.note)
            } else if withoutShared, computations[position].isCacheable {
                isFilled = self.flight.holdAlone(entry, flight.key, flight.name.field, flight.note)
            }
            self.flights.land(flight.ticket, isFilled ? .filled(entry) : .refused)
            flown.append((flight, .success((entry, .computed, withoutShared: withoutShared))))
        }
        return flown
    }

    /// The stale copy that was found, if it may still be served.
    private func stale(_ flight: BulkFlight) async -> CacheEntry? {
        guard let stale = flight.look.stale,
            await self.lookup.mayStillServe(stale, flight.key, flight.name.field, note: flight.look.note)
        else { return nil }
        return stale
    }

    /// Takes the compute leases, all at once on the wire; also says which another node holds.
    private func lease(_ flights: [BulkFlight]) async -> [(BulkFlight, isForeign: Bool)] {
        // What could not be read a moment ago is not waited for again.
        let asked = flights.indices.filter { !flights[$0].look.withoutShared }
        var leased: [(BulkFlight, isForeign: Bool)] = flights.map { flight in
            var flight = flight
            flight.withoutShared = flight.look.withoutShared
            return (flight, isForeign: false)
        }
        guard !asked.isEmpty else { return leased }
        do {
            let grants = try await self.shared.acquireLeases(
                on: asked.map { flights[$0].key },
                for: self.settings.computeLease
            )
            for (index, grant) in zip(asked, grants) {
                switch grant {
                case .granted(let lease): leased[index].0.lease = lease
                case .held: leased[index].isForeign = true
                }
            }
        } catch {
            self.metrics.sharedErrors.increment()
            for index in asked { leased[index].0.withoutShared = true }
        }
        return leased
    }

    private enum Filling {
        case stored, notStored, failed
    }

    /// Stores what was computed under a lease, all at once on the wire, and gives the other leases back.
    private func fill(
        _ flights: [BulkFlight],
        _ entries: [CacheEntry],
        _ computations: [Computation],
        _ requests: [CacheRequest]
    ) async -> [Filling] {
        var outcomes = [Filling](repeating: .notStored, count: flights.count)
        var filled: [Int] = []
        var fills: [CacheFill] = []
        var unused: [BulkFlight] = []
        for (position, flight) in flights.enumerated() {
            guard let lease = flight.lease else { continue }
            guard computations[position].isCacheable else {
                unused.append(flight)
                continue
            }
            let entry = entries[position]
            filled.append(position)
            fills.append(
                CacheFill(
                    place: CachePlace(key: flight.key, field: flight.name.field),
                    entry: entry.encoded(key: flight.key, field: flight.name.field),
                    version: entry.version,
                    lease: lease,
                    keepFor: requests[flight.index].lifetimes.hard
                )
            )
        }
        async let released: Void = self.release(unused)
        if !fills.isEmpty {
            do {
                for (position, outcome) in zip(filled, try await self.shared.fill(fills)) {
                    if outcome == .stored { outcomes[position] = .stored } else { self.metrics.refused(outcome) }
                    // What L2 refuses to hold is not held here either, though no message has said so yet.
                    if outcome == .belowFloor {
                        self.keeper.local.drop(flights[position].key, below: entries[position].version + 1)
                    }
                }
            } catch {
                self.metrics.fillErrors.increment()
                for position in filled { outcomes[position] = .failed }
            }
        }
        await released
        return outcomes
    }

    private func release(_ flights: [BulkFlight]) async {
        await withDiscardingTaskGroup { group in
            for flight in flights {
                guard let lease = flight.lease else { continue }
                group.addTask { await self.flight.release(lease, flight.key) }
            }
        }
    }
}
