internal import CLibpq
import Glibc

/// One libpq connection, used by one driver thread at a time.
///
/// Not Sendable: it lives inside a slot's `Mutex`, which is locked for the length of a call.
///
/// **Waiting.** libpq is put into non-blocking mode and all waiting happens in `pause`, a `poll` of the socket and the
/// slot's interrupt with a deadline. It costs what libpq's own blocking mode costs, and unlike that it ends when a server
/// or a proxy is frozen but still acknowledges TCP segments.
///
/// **Stopping a statement.** When the deadline passes or the task is cancelled, a cancel request goes out on another
/// thread and the statement gets `stopGrace` to end by itself. A request that overtakes its statement is ignored by the
/// server, so it is repeated. If the statement ends, the connection stays in use, and is handed on only after the last
/// request has been delivered, so none can hit the next statement. If it does not end, the connection is dropped. A
/// statement that succeeds in spite of the request has succeeded.
///
/// **The clock** is the real one: `poll` knows no other.
@safe
final class Connection {
    static let stopGrace: Duration = .seconds(1)
    private static let cancelInterval: Duration = .milliseconds(200)

    let handle: OpaquePointer
    private let interrupt: Interrupt
    private let canceller: Canceller
    private let metrics: PostgresMetrics
    private let statementTimeout: Duration
    private let maxPreparedStatements: Int

    private var prepared: [StatementKey: String] = [:]
    private var preparedCount = 0
    /// Mostly the next one is the same: comparing it costs less than hashing its text.
    private var lastPrepared: (key: StatementKey, name: String)?
    private var callID: UInt64 = 0
    private var callDeadline: ContinuousClock.Instant?
    private var watch = StatementWatch()
    /// What made the present transaction fail.
    private(set) var transactionFailure: PostgresError?
    /// Something of the call that may have an effect was handed to the server.
    private(set) var hasSent = false
    /// A broken connection is never used again.
    private(set) var isBroken = false

    private struct StatementWatch {
        var deadline: ContinuousClock.Instant?
        var isInterruptible = true
        /// Why the statement is being stopped.
        var stop: PostgresError?
        /// When a statement that is being stopped is given up together with the connection.
        var graceEnd: ContinuousClock.Instant?
        var cancelRequest: CancelRequest?
    }

    /// Takes over an established connection.
    init(
        owning handle: OpaquePointer,
        configuration: PostgresConfiguration,
        interrupt: Interrupt,
        canceller: Canceller,
        metrics: PostgresMetrics
    ) {
        unsafe self.handle = unsafe handle
        self.interrupt = interrupt
        self.canceller = canceller
        self.metrics = metrics
        statementTimeout = configuration.statementTimeout
        maxPreparedStatements = configuration.maxPreparedStatements
        _ = unsafe PQsetnonblocking(handle, 1)
        // The default receiver prints to stderr.
        _ = unsafe PQsetNoticeReceiver(handle, { _, _ in }, nil)
    }

    deinit {
        // PQfinish flushes what is unsent; on a shut socket it cannot hang.
        if isBroken { _ = unsafe shutdown(PQsocket(handle), CInt(SHUT_RDWR)) }
        unsafe PQfinish(handle)
    }

    var serverVersion: Int { unsafe Int(PQserverVersion(handle)) }
    var isIdle: Bool { unsafe PQtransactionStatus(handle) == PQTRANS_IDLE }

    /// Whether the server has sent nothing while the connection was idle: what it sends then is mostly its farewell.
    var isQuiet: Bool {
        var socket = unsafe pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        return unsafe poll(&socket, 1, 0) == 0
    }

    func beginCall(_ id: UInt64, deadline: ContinuousClock.Instant?) {
        callID = id
        callDeadline = deadline
        transactionFailure = nil
        hasSent = false
    }

    // MARK: Statements

    /// Runs a prepared statement with binary parameters and results.
    func run(_ statement: PostgresStatement, _ bindings: PostgresBindings) throws(PostgresError) -> ServerResult {
        do throws(PostgresError) {
            return try runPrepared(statement, bindings)
        } catch {
            // The plan is gone or its row type changed: nothing has run, so outside a transaction it may run again.
            guard let state = error.sqlState, state == .featureNotSupported || state == .invalidStatementName else {
                throw error
            }
            lastPrepared = nil
            guard prepared.removeValue(forKey: StatementKey(statement, bindings)) != nil, isIdle else { throw error }
            return try runPrepared(statement, bindings)
        }
    }

    private func runPrepared(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings
    ) throws(PostgresError) -> ServerResult {
        let name = try prepare(statement, bindings)
        try begin()
        hasSent = true
        try sent(send(bindings, to: name))
        return try finish()
    }

    /// Hands a prepared statement to libpq; 1 if it was accepted.
    func send(_ bindings: PostgresBindings, to name: String) -> CInt {
        let count = CInt(truncatingIfNeeded: bindings.types.count)
        return unsafe bindings.withParameters { values, lengths, formats in
            unsafe PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1)
        }
    }

    /// The name under which a statement is prepared, which it is first if it has to be.
    func prepare(_ statement: PostgresStatement, _ bindings: PostgresBindings) throws(PostgresError) -> String {
        if let last = lastPrepared, last.key.sql == statement.sql, last.key.types == bindings.types { return last.name }
        let key = StatementKey(statement, bindings)
        if let name = prepared[key] {
            lastPrepared = (key, name)
            return name
        }
        if prepared.count >= maxPreparedStatements {
            _ = try runScript("DEALLOCATE ALL", hasEffect: false)
            prepared.removeAll()
            lastPrepared = nil
        }
        preparedCount += 1
        let name = "s\(preparedCount)"
        try begin()
        let count = CInt(truncatingIfNeeded: key.types.count)
        try sent(unsafe PQsendPrepare(handle, name, statement.sql, count, key.types))
        try finish()
        prepared[key] = name
        return name
    }

    /// Runs one or more statements without parameters; returns the last result.
    ///
    /// Without an effect it may be sent again whatever became of it.
    @discardableResult
    func runScript(
        _ sql: String,
        isInterruptible: Bool = true,
        hasEffect: Bool = true
    ) throws(PostgresError) -> ServerResult {
        try begin(isInterruptible: isInterruptible)
        if hasEffect { hasSent = true }
        try sent(unsafe PQsendQuery(handle, sql))
        return try finish()
    }

    /// Marks that what is sent next may have an effect.
    func willSend() { hasSent = true }

    // MARK: Steps of a statement

    /// Starts the watch over one statement; throws if the call must not go on.
    func begin(isInterruptible: Bool = true) throws(PostgresError) {
        if isBroken { throw .connectionLost }
        let now = ContinuousClock.now
        watch = StatementWatch()
        watch.isInterruptible = isInterruptible
        if isInterruptible {
            if interrupt.isRaised(for: callID) { throw .cancelled }
            if let callDeadline, callDeadline <= now { throw .timedOut }
            watch.deadline = callDeadline
        }
        // Longer than the server's own limit: that one gives the better error.
        if watch.deadline == nil, statementTimeout > .zero {
            watch.deadline = now + statementTimeout + Self.stopGrace
        }
    }

    /// Checks the result of a `PQsend…` call and flushes.
    func sent(_ accepted: CInt) throws(PostgresError) {
        guard accepted == 1 else {
            // libpq refuses a dead connection, and calls that make no sense.
            guard unsafe PQstatus(handle) == CONNECTION_OK else { throw breakConnection() }
            throw .misuse(.unsendable)
        }
        try flush()
    }

    func flush(throwsOnStop: Bool = false) throws(PostgresError) {
        while true {
            switch unsafe PQflush(handle) {
            case 0: return
            case 1: try pause(for: POLLIN | POLLOUT, throwsOnStop: throwsOnStop)
            default: throw breakConnection()
            }
        }
    }

    /// Waits for the next result; nil at the end of the statement.
    func nextResult() throws(PostgresError) -> ServerResult? {
        while unsafe PQisBusy(handle) == 1 { try pause(for: POLLIN) }
        guard let result = unsafe PQgetResult(handle) else { return nil }
        return unsafe ServerResult(owning: result)
    }

    /// Reads all results up to the end of the statement; returns the last, or throws the first error.
    @discardableResult
    func finish(after earlier: PostgresError? = nil) throws(PostgresError) -> ServerResult {
        var last: ServerResult?
        var failure = earlier
        while let result = try nextResult() {
            switch result.status {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                last = consume result
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                _ = breakConnection()
                throw .misuse(.copyAsQuery)
            default:
                if failure == nil { failure = result.serverError.map { .server($0) } ?? .connectionLost }
            }
        }
        try settleCancelRequest()
        guard unsafe PQstatus(handle) == CONNECTION_OK else { throw breakConnection() }
        if let failure { throw fail(with: failure) }
        guard let last = last.take() else { throw breakConnection() }
        return last
    }

    /// The error to throw for a statement that failed on a sound connection.
    private func fail(with failure: PostgresError) -> PostgresError {
        guard failure != .connectionLost else { return breakConnection() }
        var failure = failure
        if let stop = watch.stop, failure.sqlState == .queryCanceled { failure = stop }
        if transactionFailure == nil, !isIdle { transactionFailure = failure }
        return failure
    }

    func breakConnection() -> PostgresError {
        isBroken = true
        return watch.stop ?? .connectionLost
    }

    // MARK: Waiting

    /// Blocks until the socket is ready or the call is stopped, and reads what there is.
    ///
    /// With `throwsOnStop`, for COPY IN, a stop is thrown at once: ending the copy takes the place of a cancel request.
    func pause(for events: CInt, throwsOnStop: Bool = false) throws(PostgresError) {
        switch unsafe Self.wait(
            PQsocket(handle),
            events,
            watch.isInterruptible ? interrupt : nil,
            until: watch.deadline
        ) {
        case .ready(let isReadable):
            if isReadable, unsafe PQconsumeInput(handle) == 0 {
                // A last word of the server, such as its shutdown, stays readable as a result; the connection is lost.
                throw breakConnection()
            }
        case .interrupted:
            interrupt.acknowledge()
            if watch.stop == nil, interrupt.isRaised(for: callID) { try stop(.cancelled, throwing: throwsOnStop) }
        case .deadlinePassed:
            if watch.stop == nil {
                try stop(.timedOut, throwing: throwsOnStop)
            } else {
                try repeatCancelRequest()
            }
        }
    }

    /// Throws if the call is cancelled or over its deadline, which `pause` finds only when it has to wait.
    func stopIfDue() throws(PostgresError) {
        guard watch.stop == nil else { return }
        if interrupt.isRaised(for: callID) { try stop(.cancelled, throwing: true) }
        if let deadline = watch.deadline, deadline <= .now { try stop(.timedOut, throwing: true) }
    }

    /// Stops the statement that runs, unless it is being stopped already; it then has the grace time to end.
    func stop(_ reason: PostgresError, throwing: Bool = false) throws(PostgresError) {
        guard watch.stop == nil else { return }
        watch.stop = reason
        watch.graceEnd = .now + Self.stopGrace
        watch.deadline = watch.graceEnd
        if throwing { throw reason }
        // From here on the interrupt tells that a request is done.
        watch.isInterruptible = true
        try sendCancelRequest()
    }

    private func sendCancelRequest() throws(PostgresError) {
        guard let request = unsafe PQgetCancel(handle) else { throw breakConnection() }
        let cancel = unsafe CancelRequest(handle: request, interrupt: interrupt)
        watch.cancelRequest = cancel
        watch.deadline = .now + Self.cancelInterval
        canceller.send(cancel)
        metrics.cancelRequested()
    }

    private func repeatCancelRequest() throws(PostgresError) {
        guard let graceEnd = watch.graceEnd, .now < graceEnd, let request = watch.cancelRequest else {
            throw breakConnection()
        }
        if request.isDone { try sendCancelRequest() } else { watch.deadline = graceEnd }
    }

    /// Waits until a cancel request has been delivered, so that it cannot hit the next statement.
    func settleCancelRequest() throws(PostgresError) {
        guard let request = watch.cancelRequest else { return }
        while !request.isDone {
            if case .deadlinePassed = Self.wait(-1, 0, interrupt, until: watch.graceEnd) {
                throw breakConnection()
            }
            interrupt.acknowledge()
        }
    }

    enum Readiness {
        case ready(isReadable: Bool)
        case interrupted
        case deadlinePassed
    }

    static func wait(
        _ socket: CInt,
        _ events: CInt,
        _ interrupt: Interrupt?,
        until deadline: ContinuousClock.Instant?
    ) -> Readiness {
        while true {
            var timeout: CInt = -1
            if let deadline {
                let left = ContinuousClock.now.duration(to: deadline)
                guard left > .zero else { return .deadlinePassed }
                timeout = CInt(clamping: left.wholeMilliseconds)
            }
            var descriptors = (
                pollfd(fd: socket, events: Int16(events), revents: 0),
                pollfd(fd: interrupt?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
            )
            let count = unsafe withUnsafeMutableBytes(of: &descriptors) { bytes in
                unsafe poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, timeout)
            }
            if descriptors.1.revents != 0 { return .interrupted }
            if descriptors.0.revents != 0 {
                return .ready(isReadable: CInt(descriptors.0.revents) & ~POLLOUT != 0)
            }
            // A signal, or the deadline, which the next round finds.
            if count < 0, errno != EINTR { return .deadlinePassed }
        }
    }
}

/// The same text with other parameter types is another prepared statement.
private struct StatementKey: Hashable {
    let sql: String
    let types: [UInt32]

    init(_ statement: PostgresStatement, _ bindings: PostgresBindings) {
        sql = statement.sql
        types = bindings.types
    }
}
