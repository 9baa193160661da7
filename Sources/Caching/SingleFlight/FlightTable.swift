import Synchronization

/// One computation of a key's entry that others may wait for.
///
/// A request may join only a flight whose result it could have been given had it come first: the lease is live, the flight
/// began in the current session, and nothing of the key's stripe has been invalidated since it began. A waiter is sent away
/// to fly itself if the flight failed or its fill was refused.
final class FlightTable: Sendable {
    struct Name: Hashable, Sendable {
        let key: CacheKey
        let field: CacheField
    }

    /// What came of a flight for those who joined it.
    enum Landing: Sendable {
        /// The entry was accepted by L2.
        case filled(CacheEntry)
        /// Failed, or refused: fly yourself.
        case rejected
    }

    private struct Flight {
        let id: UInt64
        let note: LocalCache.Note
        var waiters: [CheckedContinuation<Landing, Never>] = []
    }

    private struct State {
        var flights: [Name: Flight] = [:]
        /// Flights that may not be joined any more and have not landed.
        var orphans: [UInt64: Flight] = [:]
        var nextID: UInt64 = 0
        var waiting = 0
    }

    private let state = Mutex(State())

    enum Entry: Sendable {
        /// Fly, and land under this id.
        case fly(UInt64)
        case joined(Landing)
    }

    /// Joins the flight under a name if `note` shows that it may be joined; otherwise begins one.
    ///
    /// - Parameter isLive: Whether the lease is live now.
    func enter(_ name: Name, note: LocalCache.Note, isLive: Bool) async -> Entry {
        enum Decision { case fly(UInt64), join }
        let decision: Decision = self.state.withLock { state in
            if Self.mayJoin(name, note, isLive, state) { return .join }
            return .fly(Self.begin(name, note, &state))
        }
        if case .fly(let id) = decision { return .fly(id) }
        // Between the two looks the flight may have landed: then this caller begins one.
        var began: UInt64?
        let landing: Landing = await withCheckedContinuation { continuation in
            let id: UInt64? = self.state.withLock { state in
                if state.flights[name]?.note == note {
                    state.flights[name]!.waiters.append(continuation)
                    state.waiting += 1
                    return nil
                }
                return Self.begin(name, note, &state)
            }
            if let id {
                began = id
                continuation.resume(returning: .rejected)
            }
        }
        if let began { return .fly(began) }
        return .joined(landing)
    }

    /// Begins a flight where there is none that may be joined; nil: there is one.
    func begin(_ name: Name, note: LocalCache.Note, isLive: Bool) -> UInt64? {
        self.state.withLock { state in
            Self.mayJoin(name, note, isLive, state) ? nil : Self.begin(name, note, &state)
        }
    }

    /// Waits for the flight under a name if it may be joined; otherwise `.rejected` at once.
    func join(_ name: Name, note: LocalCache.Note, isLive: Bool) async -> Landing {
        await withCheckedContinuation { continuation in
            let waits = self.state.withLock { state in
                guard Self.mayJoin(name, note, isLive, state) else { return false }
                state.flights[name]!.waiters.append(continuation)
                state.waiting += 1
                return true
            }
            if !waits { continuation.resume(returning: .rejected) }
        }
    }

    private static func mayJoin(_ name: Name, _ note: LocalCache.Note, _ isLive: Bool, _ state: State) -> Bool {
        guard let flight = state.flights[name] else { return false }
        return isLive && note.session != nil && flight.note == note
    }

    private static func begin(_ name: Name, _ note: LocalCache.Note, _ state: inout State) -> UInt64 {
        state.nextID += 1
        // A flight that may not be joined any more loses its name; it lands for those who joined it.
        if let old = state.flights.updateValue(Flight(id: state.nextID, note: note), forKey: name) {
            state.orphans[old.id] = old
        }
        return state.nextID
    }

    /// Ends a flight and tells those who joined.
    func land(_ id: UInt64, _ name: Name, _ landing: Landing) {
        let waiters = self.state.withLock { state in
            let flight: Flight?
            if state.flights[name]?.id == id {
                flight = state.flights.removeValue(forKey: name)
            } else {
                flight = state.orphans.removeValue(forKey: id)
            }
            state.waiting -= flight?.waiters.count ?? 0
            return flight?.waiters ?? []
        }
        for waiter in waiters { waiter.resume(returning: landing) }
    }

    /// Flights under way and callers that wait for one.
    var count: (flights: Int, waiting: Int) {
        self.state.withLock { ($0.flights.count + $0.orphans.count, $0.waiting) }
    }
}
