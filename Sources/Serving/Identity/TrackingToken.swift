import Crypto
package import RecommendationCore

/// What a token says: this item stood at this place of this recommendation, computed by this model.
package struct TrackingToken: Sendable, Equatable {
    package let recommendationID: RecommendationID
    /// From 1.
    package let rank: Int
    package let item: Item.Number
    package let model: ModelVersion.Number

    private static let bodySize = 25
    private static let macSize = 12
    private static let size = bodySize + macSize
}

/// Signs the tokens of one response, and verifies those that come back.
///
/// A token is `v1.KEY.BODY`, the body base64url of: recommendation id (16), rank (1), item number (4), model (4), and the first
/// 12 bytes of HMAC-SHA256 over tenant, user and what precedes. Bound to tenant and user, it says nothing elsewhere.
package struct TokenSigner: Sendable {
    private let keys: SigningKeys

    package init(_ keys: SigningKeys) {
        self.keys = keys
    }

    package func sign(_ token: TrackingToken, tenant: Tenant.ID, user: User.ID) -> String {
        let (id, key) = self.keys.signing
        var body = token.body
        body.append(contentsOf: Self.mac(body, key, tenant, user))
        return "v1.\(id).\(Base64URL.encode(body))"
    }

    /// The token of these characters, if it was signed for this tenant and user.
    package func verify(_ text: String, tenant: Tenant.ID, user: User.ID) -> TrackingToken? {
        let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "v1", let key = self.keys.key(parts[1]),
            let bytes = Base64URL.decode(parts[2]), let token = TrackingToken(bytes)
        else { return nil }
        let presented = bytes.suffix(bytes.count - TrackingToken.bodyLength)
        let expected = Self.mac(Array(bytes.prefix(TrackingToken.bodyLength)), key, tenant, user)
        // Constant time: every byte is looked at.
        let difference = zip(presented, expected).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
        return difference == 0 && presented.count == expected.count ? token : nil
    }

    private static func mac(
        _ body: [UInt8],
        _ key: SymmetricKey,
        _ tenant: Tenant.ID,
        _ user: User.ID
    ) -> some Sequence<UInt8> & Collection<UInt8> {
        var hmac = HMAC<SHA256>(key: key)
        for part in [tenant.string, user.string] {
            hmac.update(data: [UInt8(part.utf8.count)])
            hmac.update(data: Array(part.utf8))
        }
        hmac.update(data: body)
        return Array(hmac.finalize()).prefix(TrackingToken.macLength)
    }
}

extension TrackingToken {
    static var bodyLength: Int { Self.bodySize }
    static var macLength: Int { Self.macSize }

    var body: [UInt8] {
        var bytes = self.recommendationID.bytes
        bytes.append(UInt8(truncatingIfNeeded: self.rank))
        for word in [self.item, UInt32(truncatingIfNeeded: self.model)] {
            for shift in stride(from: UInt32(24), through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return bytes
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.size else { return nil }
        func word(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(
            recommendationID: RecommendationID(high: word(0..<8), low: word(8..<16)),
            rank: Int(bytes[16]),
            item: UInt32(word(17..<21)),
            model: Int64(word(21..<25))
        )
    }
}

/// Base64 with the URL alphabet and no padding (RFC 4648, section 5).
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, character) in Self.alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (bytes.count * 4 + 2) / 3) { buffer in
            var output = 0
            var index = 0
            while index < bytes.count {
                let left = min(3, bytes.count - index)
                var group: UInt32 = 0
                for position in 0..<3 { group = group << 8 | (position < left ? UInt32(bytes[index + position]) : 0) }
                for position in 0...left {
                    buffer[output] = Self.alphabet[Int(group >> UInt32(18 - 6 * position) & 63)]
                    output += 1
                }
                index += 3
            }
            return output
        }
    }

    /// The bytes of canonical text; nil for any other.
    static func decode(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var bits = 0
        for character in text.utf8 {
            let value = Self.values[Int(character)]
            guard value != 255 else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
                group &= (1 << UInt32(bits)) - 1
            }
        }
        return bits < 6 && group == 0 ? bytes : nil
    }
}
