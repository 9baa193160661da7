internal import CLibpq

/// Why a connection URL was refused; never quotes the URL, which may hold a password.
public enum PostgresConfigurationError: Error, Sendable, Hashable {
    /// The text does not begin with `postgresql://` or `postgres://`.
    case notAPostgresURL
    /// libpq cannot read the URL: a bad escape, port or option.
    case malformedURL
}

/// Where the server is and how the client behaves towards it.
public struct PostgresConfiguration: Sendable {
    /// Names the client in metrics, for a process with several.
    public var name = "primary"
    /// What `pg_stat_activity` shows.
    public var applicationName = "vireo"
    /// Longest time to open a connection, name resolution excepted.
    public var connectTimeout: Duration = .seconds(2)
    /// The server's `statement_timeout`; zero turns it off.
    public var statementTimeout: Duration = .seconds(5)
    /// The most connections, and the number of driver threads.
    public var poolSize = 8
    /// Longest wait for a free connection.
    public var acquireTimeout: Duration = .seconds(1)
    /// The most callers waiting for a connection.
    public var maxWaiters = 1_000
    /// Sent data unacknowledged for so long breaks the connection (TCP_USER_TIMEOUT).
    public var tcpUserTimeout: Duration = .seconds(5)
    /// The most prepared statements kept on one connection.
    public var maxPreparedStatements = 256

    /// What the URL said, in libpq's keywords.
    let parameters: [(keyword: String, value: String)]

    /// Reads `postgresql://user:password@host:port/database?option=value` by libpq's own rules.
    public init(url: String) throws(PostgresConfigurationError) {
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://") else { throw .notAPostgresURL }
        guard let options = unsafe PQconninfoParse(url, nil) else { throw .malformedURL }
        defer { unsafe PQconninfoFree(options) }
        var parameters: [(keyword: String, value: String)] = []
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                unsafe parameters.append((String(cString: keyword), String(cString: value)))
            }
            unsafe option += 1
        }
        self.parameters = parameters
    }

    /// Everything given to libpq: the URL's values win over ours, except that `options` are joined.
    var connectionParameters: [(keyword: String, value: String)] {
        var options = "-c statement_timeout=\(statementTimeout.wholeMilliseconds)"
        if let given = value(of: "options") { options += " " + given }
        let defaults = [
            ("application_name", applicationName),
            ("tcp_user_timeout", "\(tcpUserTimeout.wholeMilliseconds)"),
            ("keepalives_idle", "10"), ("keepalives_interval", "3"), ("keepalives_count", "3"),
        ]
        return defaults + parameters.filter { $0.keyword != "options" } + [
            ("options", options), ("client_encoding", "UTF8"),
        ]
    }

    var password: String? { value(of: "password") }

    private func value(of keyword: String) -> String? {
        parameters.last { $0.keyword == keyword }?.value
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Host, port, database and user, without the password.
    public var description: String {
        let shown = ["host", "port", "dbname", "user"].compactMap { keyword in
            value(of: keyword).map { "\(keyword)=\($0)" }
        }
        return "PostgresConfiguration(\(shown.joined(separator: " ")))"
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// Shows nothing that `description` hides.
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Duration {
    /// Rounded up, so that a deadline is never early.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
