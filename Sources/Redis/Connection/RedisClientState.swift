/// Which connection is current and who waits for one: pure state.
struct RedisClientState<Connection, Waiter> {
    private enum Phase {
        case idle
        case running
        case ended
    }

    private(set) var connection: Connection?
    private var currentSession: UInt64?
    private var phase = Phase.idle
    private var lastSession: UInt64 = 0
    private var hasConnected = false
    private var lastWaiterID: UInt64 = 0
    private var reservations: Set<UInt64> = []
    private var waiters: [UInt64: Waiter] = [:]

    /// False when a run has begun before.
    mutating func runBegan() -> Bool {
        guard phase == .idle else { return false }
        phase = .running
        return true
    }

    /// No connection will come any more.
    mutating func runEnded() -> [Waiter] {
        phase = .ended
        return takeWaiters()
    }

    mutating func nextSession() -> UInt64 {
        lastSession += 1
        return lastSession
    }

    /// A place for a waiter that may give up before it is added.
    mutating func reserveWaiter() -> UInt64 {
        lastWaiterID += 1
        reservations.insert(lastWaiterID)
        return lastWaiterID
    }

    /// The answer, when it is known already; `timeout` when the waiter gave up before.
    mutating func waiterAdded(_ waiter: Waiter, id: UInt64) -> Result<UInt64, RedisError>? {
        guard reservations.remove(id) != nil else { return .failure(.timeout) }
        if let currentSession { return .success(currentSession) }
        guard phase != .ended else { return .failure(.notConnected) }
        waiters[id] = waiter
        return nil
    }

    mutating func waiterGaveUp(id: UInt64) -> Waiter? {
        reservations.remove(id)
        return waiters.removeValue(forKey: id)
    }

    mutating func connectionBecameReady(_ connection: Connection, session: UInt64) -> (waiters: [Waiter], isFirst: Bool)
    {
        self.connection = connection
        currentSession = session
        defer { hasConnected = true }
        return (takeWaiters(), !hasConnected)
    }

    /// False when the session is not the current one.
    mutating func connectionLost(session: UInt64) -> Bool {
        guard currentSession == session else { return false }
        connection = nil
        currentSession = nil
        return true
    }

    private mutating func takeWaiters() -> [Waiter] {
        defer { waiters.removeAll() }
        return Array(waiters.values)
    }
}
