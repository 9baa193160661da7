import Crypto
package import RecommendationCore

/// What a token says: this item stood at this place of this recommendation, computed by this model.
package struct TrackingToken: Sendable, Equatable {
    package let recommendationID: RecommendationID
    /// From 1.
    package let rank: Int
    package let item: Item.Number
    package let model: ModelVersion.Number
}

/// Signs the tokens of one response, and verifies those that come back.
///
/// A token is `v1.KEY.BODY`, the body base64url of: recommendation id (16), model (4), rank (1), item number (4), tag (8). One
/// HMAC-SHA256 a response, over tenant, user, recommendation and model, gives the key of that response; the tag of a place is
/// SipHash-2-4 under it. Bound to tenant and user, a token says nothing elsewhere.
package struct TokenSigner: Sendable {
    /// The key of one response.
    struct Response {
        fileprivate let prefix: String
        fileprivate let head: [UInt8]
        fileprivate let hash: SipHash

        /// The token of one place.
        func token(rank: Int, item: Item.Number) -> String {
            var body = self.head
            body.append(UInt8(truncatingIfNeeded: rank))
            body.appendBigEndian(item)
            body.appendBigEndian(self.hash.tag(body.suffix(TokenSigner.placeSize)))
            return self.prefix + Base64URL.encode(body)
        }
    }

    /// Whom the tokens of lists are for that are nobody's: whoever brings them. No client can be named like this.
    static let nobody = User.ID(trusted: "")

    private static let headSize = 20
    fileprivate static let placeSize = 5
    private static let size = headSize + placeSize + 8

    private let keys: SigningKeys

    package init(_ keys: SigningKeys) {
        self.keys = keys
    }

    /// What signs the places of a response.
    func response(
        _ id: RecommendationID,
        model: ModelVersion.Number,
        tenant: Tenant.ID,
        user: User.ID
    ) -> Response {
        let (name, key) = self.keys.signing
        let head = Self.head(id, model)
        return Response(prefix: "v1.\(name).", head: head, hash: Self.hash(head, key, tenant, user))
    }

    /// One token by itself.
    package func sign(_ token: TrackingToken, tenant: Tenant.ID, user: User.ID) -> String {
        self.response(token.recommendationID, model: token.model, tenant: tenant, user: user)
            .token(rank: token.rank, item: token.item)
    }

    /// The token of these characters, if it was signed for this tenant and user.
    package func verify(_ text: String, tenant: Tenant.ID, user: User.ID) -> TrackingToken? {
        let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "v1", let key = self.keys.key(parts[1]),
            let bytes = Base64URL.decode(parts[2]), bytes.count == Self.size
        else { return nil }
        func word(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        let hash = Self.hash(Array(bytes.prefix(Self.headSize)), key, tenant, user)
        let place = bytes[Self.headSize..<Self.headSize + Self.placeSize]
        // Two words are compared in one step: how alike they are does not show in the time.
        guard hash.tag(place) == word(Self.headSize + Self.placeSize..<Self.size) else { return nil }
        return TrackingToken(
            recommendationID: RecommendationID(high: word(0..<8), low: word(8..<16)),
            rank: Int(bytes[20]),
            item: UInt32(word(21..<25)),
            model: Int64(word(16..<20))
        )
    }

    private static func head(_ id: RecommendationID, _ model: ModelVersion.Number) -> [UInt8] {
        var head: [UInt8] = []
        head.reserveCapacity(Self.size)
        head.appendBigEndian(id.high)
        head.appendBigEndian(id.low)
        head.appendBigEndian(UInt32(truncatingIfNeeded: model))
        return head
    }

    private static func hash(
        _ head: [UInt8],
        _ key: SymmetricKey,
        _ tenant: Tenant.ID,
        _ user: User.ID
    ) -> SipHash {
        var message: [UInt8] = []
        for part in [tenant.string, user.string] {
            message.append(UInt8(part.utf8.count))
            message.append(contentsOf: part.utf8)
        }
        message += head
        let code = Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
        func word(_ start: Int) -> UInt64 { code[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        return SipHash(key: (word(0), word(8)))
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { self.append(contentsOf: $0) }
    }
}
