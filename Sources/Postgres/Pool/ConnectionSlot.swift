import Logging
import Synchronization

/// A place for one connection.
///
/// The lock is held for the length of a call, uncontended: the pool gives a slot to one caller at a time. It is what lets
/// the compiler, not a promise, keep the connection on one thread.
final class ConnectionSlot: Sendable {
    let interrupt = Interrupt()
    private let connection = Mutex<Connection?>(nil)
    private let configuration: PostgresConfiguration
    private let canceller: Canceller
    private let metrics: PostgresMetrics
    private let logger: Logger
    /// A pinned slot opens one connection in its life.
    private let isPinned: Bool
    private let hasOpened = Atomic<Bool>(false)

    init(
        configuration: PostgresConfiguration,
        canceller: Canceller,
        metrics: PostgresMetrics,
        logger: Logger,
        isPinned: Bool
    ) {
        self.configuration = configuration
        self.canceller = canceller
        self.metrics = metrics
        self.logger = logger
        self.isPinned = isPinned
    }

    /// Runs a call on the connection, opened first if missing or dead, on a driver thread.
    ///
    /// `atOnce` after another one, it is not looked for signs of death first: it has just been alive.
    func run(_ request: PoolRequest, atOnce: Bool = false) -> PoolRequest.Ended {
        connection.withLock { connection in
            var attempt = 1
            while true {
                do throws(PostgresError) {
                    let usable: Connection
                    if let known = reuse(&connection, unseen: atOnce && attempt == 1) {
                        usable = known
                    } else {
                        usable = try open(for: request)
                    }
                    connection = usable
                    usable.beginCall(request.id, deadline: request.deadline)
                    let outcome = request.perform(usable, attempt)
                    dropIfUnfit(&connection)
                    if case .ended(let ended) = outcome { return ended }
                    attempt += 1
                } catch {
                    drop(&connection)
                    return PoolRequest.Ended { request.refuse(error) }
                }
            }
        }
    }

    /// Runs reads together, right after another call, and completes the first ones of them; returns how many.
    func runTogether(_ reads: [PoolRead]) -> Int {
        connection.withLock { connection in
            guard let usable = connection else { return 0 }
            let completed = usable.runTogether(reads)
            dropIfUnfit(&connection)
            return completed
        }
    }

    func close() {
        connection.withLock { drop(&$0) }
    }

    private func dropIfUnfit(_ connection: inout Connection?) {
        guard let used = connection, used.isBroken || !(isPinned || used.isIdle) else { return }
        logger.notice("connection dropped", metadata: ["broken": "\(used.isBroken)"])
        drop(&connection)
    }

    private func drop(_ connection: inout Connection?) {
        if connection.take() != nil { metrics.closed() }
    }

    private func reuse(_ connection: inout Connection?, unseen: Bool) -> Connection? {
        guard let idle = connection else { return nil }
        if isPinned || unseen || idle.isQuiet { return idle }
        logger.debug("the server has closed an idle connection")
        drop(&connection)
        return nil
    }

    private func open(for request: PoolRequest) throws(PostgresError) -> Connection {
        if isPinned, hasOpened.load(ordering: .relaxed) { throw .connectionLost }
        let connection: Connection
        do throws(PostgresError) {
            connection = try Connection.open(
                configuration,
                interrupt: interrupt,
                canceller: canceller,
                metrics: metrics,
                call: request.id,
                deadline: request.deadline
            )
        } catch {
            metrics.openingFailed()
            throw error
        }
        metrics.opened()
        hasOpened.store(true, ordering: .relaxed)
        logger.debug("connection opened", metadata: ["server_version": "\(connection.serverVersion)"])
        return connection
    }
}

/// A call on its way to a connection.
///
/// `perform` is called until it has ended, with the number of the attempt; or else `refuse` is called, once.
struct PoolRequest: Sendable {
    struct Ended {
        /// Whether the same once more may go together with others.
        var wasQuick = false
        /// Resumes the caller; called when the slot is free again, so that the caller's next call finds it so.
        let complete: @Sendable () -> Void
    }

    enum Outcome {
        case ended(Ended)
        /// To be tried again, on another connection if this one is broken.
        case again
    }

    let id: UInt64
    let deadline: ContinuousClock.Instant?
    /// nil: it runs alone.
    var read: PoolRead?
    let perform: @Sendable (Connection, _ attempt: Int) -> Outcome
    let refuse: @Sendable (PostgresError) -> Void
}
