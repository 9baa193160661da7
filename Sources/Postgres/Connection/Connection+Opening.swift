internal import CLibpq
import Glibc

extension Connection {
    /// Opens a connection within `connectTimeout`, or the call's deadline if that is earlier.
    static func open(
        _ configuration: PostgresConfiguration,
        interrupt: Interrupt,
        canceller: Canceller,
        metrics: PostgresMetrics,
        call: UInt64,
        deadline: ContinuousClock.Instant?
    ) throws(PostgresError) -> Connection {
        let limit = ContinuousClock.now + configuration.connectTimeout
        let deadline = min(limit, deadline ?? limit)
        let parameters = configuration.connectionParameters
        let started = unsafe withCStrings(parameters.map(\.keyword)) { keywords in
            unsafe withCStrings(parameters.map(\.value)) { values in
                unsafe PQconnectStartParams(keywords, values, 0)
            }
        }
        guard let handle = unsafe started else { throw .connectionFailed(reason: "out of memory") }
        do throws(PostgresError) {
            try unsafe complete(handle, configuration, interrupt, call, until: deadline)
        } catch {
            // "PQfinish must be called even if the connection attempt fails."
            unsafe PQfinish(handle)
            throw error
        }
        return unsafe Connection(
            owning: handle,
            configuration: configuration,
            interrupt: interrupt,
            canceller: canceller,
            metrics: metrics
        )
    }

    private static func complete(
        _ handle: OpaquePointer,
        _ configuration: PostgresConfiguration,
        _ interrupt: Interrupt,
        _ call: UInt64,
        until deadline: ContinuousClock.Instant
    ) throws(PostgresError) {
        guard unsafe PQstatus(handle) != CONNECTION_BAD else {
            throw .connectionFailed(reason: unsafe reason(of: handle, configuration))
        }
        var step = PGRES_POLLING_WRITING
        while step != PGRES_POLLING_OK {
            let events: CInt
            switch step {
            case PGRES_POLLING_READING: events = POLLIN
            case PGRES_POLLING_WRITING: events = POLLOUT
            default: throw .connectionFailed(reason: unsafe reason(of: handle, configuration))
            }
            switch unsafe wait(PQsocket(handle), events, interrupt, until: deadline) {
            case .ready:
                step = unsafe PQconnectPoll(handle)
            case .interrupted:
                interrupt.acknowledge()
                if interrupt.isRaised(for: call) { throw .cancelled }
            case .deadlinePassed:
                throw .connectionFailed(reason: "no connection within the time allowed")
            }
        }
    }

    /// libpq's message on one line; it names host, port, user and database.
    private static func reason(of handle: OpaquePointer, _ configuration: PostgresConfiguration) -> String {
        let message = unsafe String(cString: PQerrorMessage(handle))
        if let password = configuration.password, !password.isEmpty, message.contains(password) {
            return "the message is withheld, since it holds the password"
        }
        return message.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<Result>(
    _ strings: [String],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes.append(contentsOf: string.utf8CString)
    }
    return unsafe bytes.withUnsafeBufferPointer { buffer in
        let base = buffer.baseAddress
        let pointers = unsafe offsets.map { unsafe base?.advanced(by: $0) } + [nil]
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}
