/// What is wrong with a Redis URL.
///
/// No case carries any part of the URL, as each part might hold the password.
public enum RedisURLProblem: Sendable, Hashable {
    /// There is no `scheme://`.
    case missingScheme
    /// Sentinel is not supported yet.
    case sentinelNotSupported
    /// Cluster is not supported yet.
    case clusterNotSupported
    /// The scheme is none of Redis.
    case unknownScheme
    /// The host is empty or malformed.
    case invalidHost
    /// The port is not a number between 1 and 65535.
    case invalidPort
    /// The path is not the number of a database.
    case invalidDatabase
    /// A `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8.
    case invalidEscape
    /// A user without a password.
    case missingPassword
    /// A fragment, or options where there is no TLS, have no meaning here.
    case unexpectedSuffix
    /// An option other than `ca_file`, `cert_file` and `key_file`, or one twice or without a value.
    case invalidOption
    /// A client's certificate without its key, or the other way round.
    case incompleteClientCertificate
}

extension RedisConfiguration {
    /// Parses `redis://[[user]:password@]host[:port][/database]`; everything else has its default.
    ///
    /// With `rediss://` the connection is TLS, and these options may follow: `?ca_file=PATH` (PEM; the system's authorities
    /// are trusted otherwise), `cert_file=PATH&key_file=PATH` (PEM; the client's own).
    public init(url: String) throws(RedisError) {
        self.init()
        guard let separator = url.firstRange(of: "://") else { throw .invalidURL(.missingScheme) }
        switch url[..<separator.lowerBound].lowercased() {
        case "redis": break
        case "rediss": tls = RedisTLS()
        case "redis+sentinel", "redis-sentinel", "rediss+sentinel": throw .invalidURL(.sentinelNotSupported)
        case "redis+cluster", "redis-cluster", "rediss+cluster": throw .invalidURL(.clusterNotSupported)
        default: throw .invalidURL(.unknownScheme)
        }
        var rest = url[separator.upperBound...]
        if let at = rest.lastIndex(of: "@") {
            try readCredentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        guard !rest.contains("#") else { throw .invalidURL(.unexpectedSuffix) }
        if let mark = rest.firstIndex(of: "?") {
            try readOptions(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let slash = rest.firstIndex(of: "/") {
            try readDatabase(rest[rest.index(after: slash)...])
            rest = rest[..<slash]
        }
        try readAddress(rest)
    }

    private mutating func readCredentials(_ text: Substring) throws(RedisError) {
        guard let colon = text.firstIndex(of: ":") else { throw .invalidURL(.missingPassword) }
        let user = try Self.decoded(text[..<colon])
        let password = try Self.decoded(text[text.index(after: colon)...])
        guard !password.isEmpty else { throw .invalidURL(.missingPassword) }
        self.username = user.isEmpty ? nil : user
        self.password = password
    }

    private mutating func readOptions(_ text: Substring) throws(RedisError) {
        guard var tls else { throw .invalidURL(.unexpectedSuffix) }
        for option in text.split(separator: "&", omittingEmptySubsequences: false) {
            guard let sign = option.firstIndex(of: "=") else { throw .invalidURL(.invalidOption) }
            let value = try Self.decoded(option[option.index(after: sign)...])
            let field: WritableKeyPath<RedisTLS, String?> =
                switch option[..<sign] {
                case "ca_file": \.caFile
                case "cert_file": \.certificateFile
                case "key_file": \.keyFile
                default: throw .invalidURL(.invalidOption)
                }
            guard !value.isEmpty, tls[keyPath: field] == nil else { throw .invalidURL(.invalidOption) }
            tls[keyPath: field] = value
        }
        guard (tls.certificateFile == nil) == (tls.keyFile == nil) else {
            throw .invalidURL(.incompleteClientCertificate)
        }
        self.tls = tls
    }

    private mutating func readDatabase(_ text: Substring) throws(RedisError) {
        if text.isEmpty { return }
        guard text.utf8.allSatisfy(Self.isDigit), let number = Int(text) else { throw .invalidURL(.invalidDatabase) }
        database = number
    }

    private mutating func readAddress(_ text: Substring) throws(RedisError) {
        var name = text
        var portText: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw .invalidURL(.invalidHost) }
            name = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.isEmpty || after.first == ":" else { throw .invalidURL(.invalidHost) }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            name = text[..<colon]
            portText = text[text.index(after: colon)...]
        }
        guard !name.isEmpty, !name.contains(where: \.isWhitespace) else { throw .invalidURL(.invalidHost) }
        host = String(name)
        if let portText {
            guard portText.utf8.allSatisfy(Self.isDigit), let number = Int(portText), 1...65_535 ~= number else {
                throw .invalidURL(.invalidPort)
            }
            port = number
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    private static func decoded(_ text: Substring) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
                throw .invalidURL(.invalidEscape)
            }
            bytes.append(high << 4 | low)
        }
        guard let string = String(validating: bytes, as: UTF8.self) else { throw .invalidURL(.invalidEscape) }
        return string
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        UnicodeScalar(byte).properties.isASCIIHexDigit
            ? Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) : nil
    }
}
