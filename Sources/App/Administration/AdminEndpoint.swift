import RecommendationCore

/// Where the admin API is and by what key it is called: `VIREO_ADMIN_URL`, `VIREO_API_KEY`.
package struct AdminEndpoint: Sendable, Equatable {
    package let host: String
    package let port: Int
    /// nil: the node takes calls without (`VIREO_AUTH=off`).
    package let key: String?

    static let allowed = "http://host:port"

    /// Reads where it is; by default the admin port of a node on this machine.
    package static func read(_ sources: SettingSources) throws(SettingsError) -> AdminEndpoint {
        try sources.refuseUnknownNames()
        let (url, source) = try sources.string(.adminURL) ?? ("http://127.0.0.1:9080", "default")
        guard let (host, port) = Self.parse(url) else {
            throw .invalid(.adminURL, source: source, allowed: Self.allowed)
        }
        let key = try sources.string(.apiKey)
        // A key goes into a header as it is.
        if let key, key.value.isEmpty || !key.value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            throw .invalid(.apiKey, source: key.source, allowed: "a key as vireo keys create printed it")
        }
        return AdminEndpoint(host: host, port: port, key: key?.value)
    }

    /// Host and port of a URL without user, path, query or fragment; nil where it is something else.
    static func parse(_ url: String) -> (host: String, port: Int)? {
        guard url.utf8.starts(with: "http://".utf8) else { return nil }
        var rest = url.dropFirst("http://".count)
        if rest.last == "/" { rest.removeLast() }
        guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !rest.contains(where: { "/?#@".contains($0) })
        else { return nil }
        var host = rest
        var port = 80
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]") {
            guard let number = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(number) else { return nil }
            (host, port) = (rest[..<colon], number)
        }
        if host.first == "[" {
            guard host.last == "]" else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        return host.isEmpty ? nil : (String(host), port)
    }

    /// The `Host` header.
    var authority: String { self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)" }
}
