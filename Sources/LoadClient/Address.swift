import NIOCore

/// `http://host:port` as a user names it; only what is named is ever connected to.
package struct Address: Sendable, Equatable, CustomStringConvertible {
    package let host: String
    package let port: Int
    /// A path before every request's, without a slash at its end; mostly empty.
    package let prefix: String

    package static let allowed = "http://HOST[:PORT], without user, query or fragment"

    package init?(_ url: String) {
        let scheme = "http://"
        guard url.lowercased().hasPrefix(scheme), url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        var rest = url.dropFirst(scheme.count)
        guard !rest.contains(where: { "@?#".contains($0) }) else { return nil }
        if let slash = rest.firstIndex(of: "/") {
            let path = rest[slash...]
            self.prefix = String(path.last == "/" ? path.dropLast() : path)
            rest = rest[..<slash]
        } else {
            self.prefix = ""
        }
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            self.host = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            rest = rest.dropFirst()
        } else {
            let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            self.host = String(parts[0])
            rest = parts.count > 1 ? parts[1] : ""
        }
        guard !self.host.isEmpty else { return nil }
        guard !rest.isEmpty else {
            self.port = 80
            return
        }
        guard let port = Int(rest), (1...65_535).contains(port) else { return nil }
        self.port = port
    }

    package var isLoopback: Bool {
        self.host == "localhost" || self.host == "::1"
            || (self.host.hasPrefix("127.") && (try? SocketAddress(ipAddress: self.host, port: 0)) != nil)
    }

    package var description: String { "http://\(self.authority)\(self.prefix)" }

    /// What the `Host` header says.
    package var authority: String { "\(self.host.contains(":") ? "[\(self.host)]" : self.host):\(self.port)" }
}
