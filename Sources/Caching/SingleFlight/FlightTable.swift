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

    /// One flight, as those who fly or join it know it.
    struct Ticket: Sendable {
        let id: UInt64
        let name: Name
    }

    /// What came of a flight for those who joined it.
    enum Landing: Sendable {
        /// The entry was accepted by L2.
        case filled(CacheEntry)
        /// The fill was refused: something was invalidated, or lost, meanwhile.
        case refused
        /// Nothing was computed, and nothing is known to be void.
        case failed
        /// Another node computes.
        case busy
        /// The flight is over, or its waiter was cancelled.
        case gone
    }

    fileprivate struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Landing, Never>
    }

    fileprivate struct Flight {
        let id: UInt64
        let note: LocalCache.Note
        var waiters: [Waiter] = []
    }

    fileprivate struct State {
        var flights: [Name: Flight] = [:]
        /// Flights that may not be joined any more and have not landed.
        var orphans: [UInt64: Flight] = [:]
        var nextID: UInt64 = 0
        var waiting = 0
    }

    private let state = Mutex(State())
    private let faults: SeededFaults

    init(faults: SeededFaults = SeededFaults()) {
        self.faults = faults
    }

    enum Entry: Sendable {
        /// Fly, and land with this ticket.
        case fly(Ticket)
        /// Wait for the landing.
        case join(Ticket)
    }

    /// Joins the flight under a name if `note` shows that it may be joined; otherwise begins one.
    ///
    /// - Parameter isLive: Whether the lease is live now.
    func enter(_ name: Name, note: LocalCache.Note, isLive: Bool) -> Entry {
        self.state.withLock { state in
            if let flight = state.flights[name], isLive, note.session != nil,
                flight.note == note || self.faults.has(.joinOldFlight)
            {
                return .join(Ticket(id: flight.id, name: name))
            }
            state.nextID += 1
            // A flight that may not be joined any more loses its name; it lands for those who joined it.
            if let old = state.flights.updateValue(Flight(id: state.nextID, note: note), forKey: name) {
                state.orphans[old.id] = old
            }
            return .fly(Ticket(id: state.nextID, name: name))
        }
    }

    /// Whether somebody flies under a name.
    func isFlying(_ name: Name) -> Bool {
        self.state.withLock { $0.flights[name] != nil }
    }

    /// Waits for the landing of a flight; `gone` where it has landed, and when the waiting task is cancelled.
    ///
    /// - Parameter onWaiting: Called once the landing cannot be missed any more; not called if it has been.
    func landing(of ticket: Ticket, onWaiting: () -> Void = {}) async -> Landing {
        let id = self.state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWaiting = self.state.withLock { state in
                    !Task.isCancelled
                        && state.change(ticket) { $0.waiters.append(Waiter(id: id, continuation: continuation)) }
                }
                if isWaiting { onWaiting() } else { continuation.resume(returning: .gone) }
            }
        } onCancel: {
            let waiter = self.state.withLock { state in
                var left: Waiter?
                _ = state.change(ticket) { flight in
                    left = flight.waiters.firstIndex { $0.id == id }.map { flight.waiters.remove(at: $0) }
                }
                return left
            }
            waiter?.continuation.resume(returning: .gone)
        }
    }

    /// Ends a flight and tells those who joined; how many they were.
    @discardableResult
    func land(_ ticket: Ticket, _ landing: Landing) -> Int {
        let waiters = self.state.withLock { state in
            let flight: Flight?
            if state.flights[ticket.name]?.id == ticket.id {
                flight = state.flights.removeValue(forKey: ticket.name)
            } else {
                flight = state.orphans.removeValue(forKey: ticket.id)
            }
            state.waiting -= flight?.waiters.count ?? 0
            return flight?.waiters ?? []
        }
        for waiter in waiters { waiter.continuation.resume(returning: landing) }
        return waiters.count
    }

    /// Flights under way and callers that wait for one.
    var count: (flights: Int, waiting: Int) {
        self.state.withLock { ($0.flights.count + $0.orphans.count, $0.waiting) }
    }
}

extension FlightTable.State {
    /// Changes a flight that has not landed; false where it has.
    fileprivate mutating func change(_ ticket: FlightTable.Ticket, _ body: (inout FlightTable.Flight) -> Void) -> Bool {
        if self.flights[ticket.name]?.id == ticket.id {
            let before = self.flights[ticket.name]!.waiters.count
            body(&self.flights[ticket.name]!)
            self.waiting += self.flights[ticket.name]!.waiters.count - before
            return true
        }
        guard self.orphans[ticket.id] != nil else { return false }
        let before = self.orphans[ticket.id]!.waiters.count
        body(&self.orphans[ticket.id]!)
        self.waiting += self.orphans[ticket.id]!.waiters.count - before
        return true
    }
}
