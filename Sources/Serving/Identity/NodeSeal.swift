package import RecommendationCore

/// Shows one node to another: a code over time, addressee and body of a message, under the signing keys that all nodes of a
/// fleet have in common.
///
/// A seal is good for half a minute before and after its time, by the reader's clock, and for the named node alone: one that
/// is overheard cannot be used elsewhere or later. What it opens must be such that hearing it twice does no harm.
package struct NodeSeal: Sendable {
    /// How far the clocks of two nodes, and the way between them, may be apart.
    package static let window: Int64 = 30_000

    private let keys: SigningKeys
    private let wallClock: @Sendable () -> Timestamp

    package init(_ keys: SigningKeys, wallClock: @escaping @Sendable () -> Timestamp) {
        self.keys = keys
        self.wallClock = wallClock
    }

    /// The seal of a message to a node: `v1.KEY.MILLISECONDS.CODE`.
    package func seal(_ body: [UInt8], to node: String) -> String {
        let (id, key) = self.keys.signing
        let time = self.wallClock().milliseconds
        let code = key.words(of: body, to: node, at: time)
        return "v1.\(id).\(time).\(Base64URL.encode(Self.bytes(code.0) + Self.bytes(code.1)))"
    }

    /// Whether a node of this fleet has sealed a message to a node, just now.
    package func isSealed(_ body: [UInt8], to node: String, by seal: some StringProtocol) -> Bool {
        let parts = seal.split(separator: ".", omittingEmptySubsequences: false).map { Substring($0) }
        guard parts.count == 4, parts[0] == "v1", let key = self.keys.key(parts[1]),
            parts[2].utf8.count <= 15, let time = Int64(parts[2]),
            abs(self.wallClock().milliseconds - time) <= Self.window,
            let bytes = Base64URL.decode(parts[3]), bytes.count == 16
        else { return false }
        let code = key.words(of: body, to: node, at: time)
        let given = (Self.word(bytes[..<8]), Self.word(bytes[8...]))
        // In one step: how alike they are does not show in the time.
        return (code.0 ^ given.0) | (code.1 ^ given.1) == 0
    }

    private static func bytes(_ word: UInt64) -> [UInt8] {
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
    }

    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

extension ResponseMAC {
    /// No tracking token's message begins like this: theirs begin with the length of a tenant's name.
    private static var purpose: String { "\0node 1\0" }

    fileprivate func words(of body: [UInt8], to node: String, at time: Int64) -> (UInt64, UInt64) {
        var message = Array(Self.purpose.utf8)
        message += "\(time)\0\(node.utf8.count)\0\(node)".utf8
        message += body
        return message.withUnsafeBytes { self.words($0) }
    }
}
