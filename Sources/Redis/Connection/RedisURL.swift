/// What is wrong with a Redis URL.
///
/// No case carries any part of the URL, as each part might hold the password.
public enum RedisURLProblem: Sendable, Hashable {
    /// There is no `scheme://`.
    case missingScheme
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
    /// A fragment, or options where they have no meaning.
    case unexpectedSuffix
    /// An option that is not known for this scheme, or one twice or without a value.
    case invalidOption
    /// A client's certificate without its key, or the other way round.
    case incompleteClientCertificate
    /// Sentinels without the name of the master they watch, or one with other characters than letters, digits, `.`, `-`, `_`.
    case missingMasterName
    /// A sentinel is named twice, and would count twice.
    case repeatedSentinel
    /// A cluster has one database, number 0.
    case clusterDatabase
}

extension RedisURLProblem: CustomStringConvertible {
    /// For people, without any part of the URL.
    public var description: String {
        switch self {
        case .missingScheme: "there is no scheme"
        case .unknownScheme: "the scheme is not known"
        case .invalidHost: "a host is empty or malformed"
        case .invalidPort: "a port is not a number between 1 and 65535"
        case .invalidDatabase: "the database is not a number"
        case .invalidEscape: "a % is not followed by two hexadecimal digits of UTF-8"
        case .missingPassword: "there is a user without a password"
        case .unexpectedSuffix: "there is a fragment, or there are options without TLS"
        case .invalidOption: "an option is not known, given twice or empty"
        case .incompleteClientCertificate: "cert_file and key_file go together"
        case .missingMasterName: "the name of the master is missing behind the sentinels, or malformed"
        case .repeatedSentinel: "a sentinel is named twice"
        case .clusterDatabase: "a cluster has no database but 0"
        }
    }
}

extension RedisConfiguration {
    /// Parses a URL; everything that is not in it has its default.
    ///
    /// - `redis://[[user]:password@]host[:port][/database]`
    /// - `redis+sentinel://[[user]:password@]host[:port],host[:port]…/master-name[/database]`: the addresses are those of
    ///   sentinels, the credentials those of the servers. Those of the sentinels themselves are the options
    ///   `sentinel_user=` and `sentinel_password=`.
    /// - `redis+cluster://[[user]:password@]host[:port],host[:port]…`: some nodes of a cluster, who know the others; the
    ///   credentials are those of all nodes.
    ///
    /// With `rediss://`, `rediss+sentinel://` and `rediss+cluster://` all connections are TLS, and these options may follow: `ca_file=PATH` (PEM;
    /// the system's authorities are trusted otherwise), `cert_file=PATH&key_file=PATH` (PEM; the client's own), and
    /// `sentinel_tls=off` where sentinels speak none.
    public init(url: String) throws(RedisError) {
        self.init()
        guard let separator = url.firstRange(of: "://") else { throw .invalidURL(.missingScheme) }
        var (hasSentinels, hasCluster) = (false, false)
        switch url[..<separator.lowerBound].lowercased() {
        case "redis": break
        case "rediss": tls = RedisTLS()
        case "redis+sentinel": hasSentinels = true
        case "rediss+sentinel":
            hasSentinels = true
            tls = RedisTLS()
        case "redis+cluster": hasCluster = true
        case "rediss+cluster":
            hasCluster = true
            tls = RedisTLS()
        default: throw .invalidURL(.unknownScheme)
        }
        var rest = url[separator.upperBound...]
        if let at = rest.lastIndex(of: "@") {
            try readCredentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        guard !rest.contains("#") else { throw .invalidURL(.unexpectedSuffix) }
        var options: [Substring: String] = [:]
        if let mark = rest.firstIndex(of: "?") {
            guard tls != nil || hasSentinels else { throw .invalidURL(.unexpectedSuffix) }
            options = try Self.options(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        try readFiles(&options)
        if hasSentinels {
            try readSentinels(&rest, &options)
        } else if hasCluster {
            try readCluster(&rest)
        } else {
            let path = Self.cut(&rest, at: "/")
            if let path { try readDatabase(path) }
            let address = try Self.address(rest, port: port)
            (host, port) = (address.host, address.port)
        }
        guard options.isEmpty else { throw .invalidURL(.invalidOption) }
    }

    private mutating func readCredentials(_ text: Substring) throws(RedisError) {
        guard let colon = text.firstIndex(of: ":") else { throw .invalidURL(.missingPassword) }
        let user = try Self.decoded(text[..<colon])
        let password = try Self.decoded(text[text.index(after: colon)...])
        guard !password.isEmpty else { throw .invalidURL(.missingPassword) }
        self.username = user.isEmpty ? nil : user
        self.password = password
    }

    private static func options(_ text: Substring) throws(RedisError) -> [Substring: String] {
        var options: [Substring: String] = [:]
        for option in text.split(separator: "&", omittingEmptySubsequences: false) {
            guard let sign = option.firstIndex(of: "=") else { throw .invalidURL(.invalidOption) }
            let value = try decoded(option[option.index(after: sign)...])
            guard !value.isEmpty, options.updateValue(value, forKey: option[..<sign]) == nil else {
                throw .invalidURL(.invalidOption)
            }
        }
        return options
    }

    private mutating func readFiles(_ options: inout [Substring: String]) throws(RedisError) {
        guard tls != nil else { return }
        tls = RedisTLS(
            caFile: options.removeValue(forKey: "ca_file"),
            certificateFile: options.removeValue(forKey: "cert_file"),
            keyFile: options.removeValue(forKey: "key_file")
        )
        guard (tls?.certificateFile == nil) == (tls?.keyFile == nil) else {
            throw .invalidURL(.incompleteClientCertificate)
        }
    }

    private mutating func readSentinels(
        _ text: inout Substring,
        _ options: inout [Substring: String]
    ) throws(RedisError) {
        guard var master = Self.cut(&text, at: "/") else { throw .invalidURL(.missingMasterName) }
        if let database = Self.cut(&master, at: "/") { try readDatabase(database) }
        guard !master.isEmpty, master.utf8.allSatisfy(Self.isPartOfName) else { throw .invalidURL(.missingMasterName) }
        var addresses: [RedisAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let address = try Self.address(part, port: 26_379)
            guard !addresses.contains(address) else { throw .invalidURL(.repeatedSentinel) }
            addresses.append(address)
        }
        var sentinels = RedisSentinels(
            addresses: addresses,
            master: String(master),
            username: options.removeValue(forKey: "sentinel_user"),
            password: options.removeValue(forKey: "sentinel_password"),
            tls: tls
        )
        guard sentinels.username == nil || sentinels.password != nil else { throw .invalidURL(.missingPassword) }
        switch options.removeValue(forKey: "sentinel_tls") {
        case nil: break
        case "off" where tls != nil: sentinels.tls = nil
        default: throw .invalidURL(.invalidOption)
        }
        self.sentinels = sentinels
    }

    private mutating func readCluster(_ text: inout Substring) throws(RedisError) {
        if let path = Self.cut(&text, at: "/") { try readDatabase(path) }
        guard database == 0 else { throw .invalidURL(.clusterDatabase) }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let address = try Self.address(part, port: port)
            if !cluster.contains(address) { cluster.append(address) }
        }
    }

    private mutating func readDatabase(_ text: Substring) throws(RedisError) {
        if text.isEmpty { return }
        guard text.utf8.allSatisfy(Self.isDigit), let number = Int(text) else { throw .invalidURL(.invalidDatabase) }
        database = number
    }

    private static func address(_ text: Substring, port: Int) throws(RedisError) -> RedisAddress {
        var name = text
        var portText: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw .invalidURL(.invalidHost) }
            name = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.isEmpty || after.first == ":" else { throw .invalidURL(.invalidHost) }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else {
            portText = cut(&name, at: ":")
        }
        guard !name.isEmpty, !name.contains(where: { $0.isWhitespace || $0 == "," }) else {
            throw .invalidURL(.invalidHost)
        }
        guard let portText else { return RedisAddress(host: String(name), port: port) }
        guard portText.utf8.allSatisfy(isDigit), let number = Int(portText), 1...65_535 ~= number else {
            throw .invalidURL(.invalidPort)
        }
        return RedisAddress(host: String(name), port: number)
    }

    /// Cuts a text off at the first such character, and returns what was behind it; nil: there is none.
    private static func cut(_ text: inout Substring, at character: Character) -> Substring? {
        guard let place = text.firstIndex(of: character) else { return nil }
        defer { text = text[..<place] }
        return text[text.index(after: place)...]
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    /// What Sentinel allows in the name of a master.
    private static func isPartOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

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
