/// Who may use which connection slot, as a value: past-tense events in, actions out, no I/O and no clock.
///
/// A slot is a place for one connection, which its user opens when it is missing. Requests get a slot at once, or stand
/// in a bounded line, first come first served, until their deadline. A freed slot goes straight to the first in
/// line; the newest free slot is used first, so a quiet pool keeps few connections open.
///
/// The phases: `created` (requests wait for `started`) → `running` → `stopping` (slots come back to be closed) → `stopped`.
struct PoolStateMachine<Request: Sendable> {
    typealias Instant = ContinuousClock.Instant

    struct Waiter {
        let id: UInt64
        let deadline: Instant
        let request: Request
    }

    enum Phase: Equatable { case created, running, stopping, stopped }

    enum ArrivalAction: Sendable {
        case run(slot: Int, Request)
        /// The caller waits; call `timerFired` at the given time, if there is one.
        case wait(timer: Instant?)
        case refuse(Request, PostgresError)
    }

    enum ReleaseAction: Sendable {
        /// The slot stays busy with the next request.
        case run(Request)
        case keepIdle
        /// Close the connection, then report `slotClosed`.
        case close
    }

    enum CancellationAction: Sendable {
        case refuse(Request)
        case interrupt(slot: Int)
        /// The request has ended, or has not arrived yet.
        case nothing
    }

    private(set) var phase = Phase.created
    private var free: [Int]
    /// The request that each slot works for.
    private var users: [UInt64?]
    private var line = WaitingLine<Waiter>()
    private var openSlots: Int
    private var timer: Instant?
    private let maxWaiters: Int

    init(slots: Int, maxWaiters: Int) {
        free = Array((0..<slots).reversed())
        users = Array(repeating: nil, count: slots)
        openSlots = slots
        self.maxWaiters = maxWaiters
    }

    var idleCount: Int { free.count }
    var busyCount: Int { openSlots - free.count }
    var waitingCount: Int { line.count }
    /// The slots at work and for whom.
    var running: [(slot: Int, id: UInt64)] {
        users.enumerated().compactMap { slot, id in id.map { (slot, $0) } }
    }

    /// The requests to run now; nil if this is not the first start.
    mutating func started() -> [(slot: Int, request: Request)]? {
        guard phase == .created else { return nil }
        phase = .running
        var runnable: [(slot: Int, request: Request)] = []
        while !free.isEmpty, let waiter = line.popFirst() {
            runnable.append((take(for: waiter.id), waiter.request))
        }
        return runnable
    }

    mutating func requestArrived(_ request: Request, id: UInt64, deadline: Instant) -> ArrivalAction {
        switch phase {
        case .stopping, .stopped:
            return .refuse(request, .shutDown)
        case .running where !free.isEmpty:
            return .run(slot: take(for: id), request)
        case .created, .running:
            guard line.count < maxWaiters else { return .refuse(request, .poolQueueFull) }
            line.append(Waiter(id: id, deadline: deadline, request: request))
            if let timer, timer <= deadline { return .wait(timer: nil) }
            timer = deadline
            return .wait(timer: deadline)
        }
    }

    mutating func requestCancelled(_ id: UInt64) -> CancellationAction {
        if let slot = users.firstIndex(of: id) { return .interrupt(slot: slot) }
        guard let waiter = line.removeAll(where: { $0.id == id }).first else { return .nothing }
        return .refuse(waiter.request)
    }

    /// The requests whose time is over, and when to call again.
    mutating func timerFired(at now: Instant) -> (expired: [Request], next: Instant?) {
        let expired = line.removeAll { $0.deadline <= now }.map(\.request)
        // A later timer than the one that is set has nothing to do.
        if let timer, timer > now { return (expired, nil) }
        timer = line.min(of: \.deadline)
        return (expired, timer)
    }

    mutating func slotReleased(_ slot: Int) -> ReleaseAction {
        users[slot] = nil
        guard phase == .running else { return .close }
        guard let next = line.popFirst() else {
            free.append(slot)
            return .keepIdle
        }
        users[slot] = next.id
        return .run(next.request)
    }

    /// The requests to refuse and the idle slots to close; busy ones follow when they are released.
    mutating func shutdownBegan() -> (refused: [Request], close: [Int]) {
        guard phase == .created || phase == .running else { return ([], []) }
        phase = .stopping
        let refused = line.removeAll { _ in true }.map(\.request)
        defer { free.removeAll() }
        if openSlots == 0 { phase = .stopped }
        return (refused, free)
    }

    /// Whether that was the last one.
    mutating func slotClosed() -> Bool {
        openSlots -= 1
        if openSlots == 0 { phase = .stopped }
        return openSlots == 0
    }

    private mutating func take(for id: UInt64) -> Int {
        let slot = free.removeLast()
        users[slot] = id
        return slot
    }
}
