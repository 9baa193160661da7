/// Everything that can go wrong in this module.
///
/// After ``notConnected``, ``sessionChanged``, ``queueFull`` and ``invalidURL(_:)`` nothing was sent. After ``timeout``,
/// ``cancelled`` and ``connectionLost(_:)`` the command may or may not have run: send it again only if it is idempotent.
public enum RedisError: Error, Sendable, Hashable {
    /// The text is not a URL this client accepts.
    case invalidURL(RedisURLProblem)
    /// There is no ready connection, or it is being closed.
    case notConnected
    /// The caller bound the command to a session that is not the current one.
    case sessionChanged
    /// Too many commands, or too many bytes of them, wait for replies.
    case queueFull
    /// The reply did not come in time; the connection was closed because of it.
    case timeout
    /// The calling task was cancelled.
    case cancelled
    /// The connection was lost before the reply came.
    case connectionLost(RedisConnectionLoss)
    /// The server answered with an error.
    case server(RedisServerError)
    /// The reply has another type than the accessor or the operation expects.
    case unexpectedReply(expected: String, found: String)
    /// `run()` was called a second time.
    case alreadyRunning
}

/// Why a connection ended, or why none could be made.
public enum RedisConnectionLoss: Sendable, Hashable {
    /// The server closed the connection.
    case closedByServer
    /// A network error; the text is for people.
    case network(String)
    /// No trust between client and server, or a file of certificates that cannot be used; the text is for people.
    case tls(String)
    /// A reply took longer than the command timeout.
    case commandTimeout
    /// The handshake took longer than the connect timeout.
    case handshakeTimeout
    /// The server refused a step of the handshake with an error of this code.
    case refused(step: String, code: String)
    /// The sentinels do not say which server is the primary.
    case noPrimary(RedisPrimaryProblem)
    /// The sentinels named another server as the primary.
    case primaryMoved
    /// The server is a replica, or became one.
    case notPrimary
    /// The server sent something that is not RESP2, or a reply to nothing.
    case protocolViolation(String)
    /// Messages came faster than they were consumed.
    case bufferOverflow
    /// The owner asked for a new connection.
    case reset(String)
    /// The client is shutting down.
    case shutdown
}

extension RedisConnectionLoss {
    /// Whether the server is not the one that was looked for.
    var isAboutPlace: Bool {
        switch self {
        case .notPrimary: true
        case .refused(_, let code): code == "MOVED"
        default: false
        }
    }
}

/// An error reply: its first word, and the rest.
public struct RedisServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The first word, such as `ERR`, `WRONGTYPE`, `NOSCRIPT`, `READONLY`, `OOM`.
    public let code: String
    /// What follows the code.
    ///
    /// It may quote arguments of the command.
    public let message: String

    /// Makes an error of its two parts.
    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }

    /// Whether the server refused to write because it is a replica; within a script, old servers say so in the message.
    var isFromReplica: Bool { code == "READONLY" || message.contains("-READONLY ") }

    /// Where another node of the cluster is to be asked instead: for good, or for this command only.
    var redirection: (address: RedisAddress, isForOne: Bool)? {
        guard code == "MOVED" || code == "ASK" else { return nil }
        let words = message.split(separator: " ")
        guard words.count >= 2, let colon = words[1].lastIndex(of: ":"),
            let port = Int(words[1][words[1].index(after: colon)...]), 1...65_535 ~= port
        else { return nil }
        return (RedisAddress(host: String(words[1][..<colon]), port: port), code == "ASK")
    }

    /// Splits the line of an error reply.
    init(line: String) {
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(code: String(parts[0]), message: parts.count > 1 ? String(parts[1]) : "")
    }

    /// Code and message as the server sent them.
    public var description: String { message.isEmpty ? code : "\(code) \(message)" }
}
