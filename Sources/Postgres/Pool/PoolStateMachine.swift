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
        /// The same with several.
        case runTogether([Request])
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

    private struct User {
        let id: UInt64
        /// Only if it runs together with others, which must not be interrupted.
        var isCancelled = false
    }

    private(set) var phase = Phase.created
    private var free: [Int]
    /// The requests that each slot works for: several only if they run together.
    private var users: [[User]]
    private var line = WaitingLine<Waiter>()
    private var openSlots: Int
    private var timer: Instant?
    private let maxWaiters: Int

    init(slots: Int, maxWaiters: Int) {
        free = Array((0..<slots).reversed())
        users = Array(repeating: [], count: slots)
        openSlots = slots
        self.maxWaiters = maxWaiters
    }

    var idleCount: Int { free.count }
    var busyCount: Int { openSlots - free.count }
    var waitingCount: Int { line.count }
    /// The slots at work and for whom.
    var running: [(slot: Int, id: UInt64)] {
        users.enumerated().flatMap { slot, users in users.map { (slot, $0.id) } }
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
            return .wait(timer: timerForWaiter(until: deadline))
        }
    }

    /// A request that ran together with others has to run alone: it is the first in line now, however long that is.
    ///
    /// Call it for all of them at once, the last one first, before `slotReleased`: while stopping, that slot runs them.
    mutating func requestReturned(_ request: Request, id: UInt64, from slot: Int, deadline: Instant) -> ArrivalAction {
        if let index = users[slot].firstIndex(where: { $0.id == id }), users[slot].remove(at: index).isCancelled {
            return .refuse(request, .cancelled)
        }
        if phase == .running, !free.isEmpty { return .run(slot: take(for: id), request) }
        line.prepend(Waiter(id: id, deadline: deadline, request: request))
        return .wait(timer: phase == .running ? timerForWaiter(until: deadline) : nil)
    }

    mutating func requestCancelled(_ id: UInt64) -> CancellationAction {
        for slot in users.indices {
            guard let index = users[slot].firstIndex(where: { $0.id == id }) else { continue }
            guard users[slot].count > 1 else { return .interrupt(slot: slot) }
            users[slot][index].isCancelled = true
            return .nothing
        }
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

    /// `goesTogether` tells which requests the slot could run with others of them.
    mutating func slotReleased(_ slot: Int, goesTogether: (Request) -> Bool = { _ in false }) -> ReleaseAction {
        users[slot].removeAll(keepingCapacity: true)
        let most = SharedReads.count(waiting: line.count, slots: users.count)
        guard let next = line.popFirst() else {
            guard phase == .running else { return .close }
            free.append(slot)
            return .keepIdle
        }
        users[slot].append(User(id: next.id))
        guard most > 1, goesTogether(next.request) else { return .run(next.request) }
        var requests = [next.request]
        while requests.count < most, let next = line.popFirst(where: { goesTogether($0.request) }) {
            users[slot].append(User(id: next.id))
            requests.append(next.request)
        }
        return requests.count > 1 ? .runTogether(requests) : .run(next.request)
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
        users[slot].append(User(id: id))
        return slot
    }

    /// The time to set the timer to, if it is set to none or a later one.
    private mutating func timerForWaiter(until deadline: Instant) -> Instant? {
        if let timer, timer <= deadline { return nil }
        timer = deadline
        return deadline
    }
}
