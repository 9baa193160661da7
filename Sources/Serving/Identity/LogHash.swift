package import RecommendationCore

/// What stands for an id in logs: the same for the same id on every node of a fleet, and of no use to who does not have the
/// signing keys. Of a hash without a key every id could be guessed; ids are often short, and in a row.
///
/// The first 64 bits of HMAC-SHA256 under the key that signs: it changes when that is changed.
package struct LogHash: Sendable {
    private let key: ResponseMAC
    private let keys: [ResponseMAC]

    package init(_ keys: SigningKeys) {
        self.key = keys.signing.key
        self.keys = keys.all
    }

    /// No tracking token's message begins like this, and no seal's: theirs begin with the length of a tenant's name, and with
    /// another purpose.
    private static var purpose: String { "\0log 1\0" }
    private static var erasure: String { "\0erasure 1\0" }

    /// Sixteen hexadecimal digits.
    package func text(of bytes: [UInt8]) -> String {
        let message = Array(Self.purpose.utf8) + bytes
        let text = String(message.withUnsafeBytes { self.key.words($0) }.0, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }

    /// What stays of a user who is erased: 16 bytes. No id has the byte between the two.
    package func erasure(of user: User.ID, tenant: Tenant.ID) -> [UInt8] {
        self.erasures(of: user, tenant: tenant)[0]
    }

    /// What may have stayed of a user who was erased, by this node or another, under any of the keys that are known.
    package func erasures(of user: User.ID, tenant: Tenant.ID) -> [[UInt8]] {
        let message = Array("\(Self.erasure)\(tenant.string)\0\(user.string)".utf8)
        return self.keys.map { key in
            let (first, second) = message.withUnsafeBytes { key.words($0) }
            return withUnsafeBytes(of: (first.bigEndian, second.bigEndian)) { Array($0) }
        }
    }
}
