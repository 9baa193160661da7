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
    private let logger: Logger
    /// A pinned slot opens one connection in its life.
    private let isPinned: Bool
    private let hasOpened = Atomic<Bool>(false)

    init(configuration: PostgresConfiguration, canceller: Canceller, logger: Logger, isPinned: Bool) {
        self.configuration = configuration
        self.canceller = canceller
        self.logger = logger
        self.isPinned = isPinned
    }

    /// Runs a call on the connection, opened first if missing or dead, on a driver thread.
    func run(_ request: PoolRequest) -> PoolRequest.Completion {
        connection.withLock { connection in
            do throws(PostgresError) {
                let usable: Connection
                if let idle = reuse(connection) { usable = idle } else { usable = try open(for: request) }
                connection = usable
                usable.beginCall(request.id, deadline: request.deadline)
                let completion = request.perform(usable)
                if usable.isBroken || !(isPinned || usable.isIdle) {
                    logger.notice("connection dropped", metadata: ["broken": "\(usable.isBroken)"])
                    connection = nil
                }
                return completion
            } catch {
                connection = nil
                return { request.refuse(error) }
            }
        }
    }

    func close() {
        connection.withLock { $0 = nil }
    }

    private func reuse(_ connection: Connection?) -> Connection? {
        guard let connection else { return nil }
        if isPinned || connection.isQuiet { return connection }
        logger.debug("the server has closed an idle connection")
        return nil
    }

    private func open(for request: PoolRequest) throws(PostgresError) -> Connection {
        if isPinned, hasOpened.load(ordering: .relaxed) { throw .connectionLost }
        let connection = try Connection.open(
            configuration,
            interrupt: interrupt,
            canceller: canceller,
            call: request.id,
            deadline: request.deadline
        )
        hasOpened.store(true, ordering: .relaxed)
        logger.debug("connection opened", metadata: ["server_version": "\(connection.serverVersion)"])
        return connection
    }
}

/// A call on its way to a connection.
///
/// Exactly one of `perform` and `refuse` is called, once.
struct PoolRequest: Sendable {
    /// Resumes the caller; called when the slot is free again, so that the caller's next call finds it so.
    typealias Completion = @Sendable () -> Void

    let id: UInt64
    let deadline: ContinuousClock.Instant?
    let perform: @Sendable (Connection) -> Completion
    let refuse: @Sendable (PostgresError) -> Void
}
