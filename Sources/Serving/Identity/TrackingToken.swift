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
    package struct Response: Sendable {
        /// `v1.KEY.` and the characters that all places of the response share.
        private let prefix: [UInt8]
        /// What the remaining characters begin with: the last two bytes of the head.
        private let rest: UInt64
        private let hash: SipHash

        fileprivate init(name: [UInt8], id: RecommendationID, model: UInt32, hash: SipHash) {
            self.prefix = [UInt8](unsafeUninitializedCapacity: name.count + TokenSigner.sharedCharacters) {
                buffer,
                count in
                var cursor = buffer.baseAddress!
                cursor.initialize(from: name, count: name.count)
                cursor += name.count
                // Eighteen bytes: the id, and the first two of the model.
                let groups = (
                    id.high >> 40, id.high >> 16, id.high << 8 | id.low >> 56, id.low >> 32, id.low >> 8,
                    id.low << 16 | UInt64(model >> 16)
                )
                Base64URL.write(groups.0, to: cursor)
                Base64URL.write(groups.1, to: cursor + 4)
                Base64URL.write(groups.2, to: cursor + 8)
                Base64URL.write(groups.3, to: cursor + 12)
                Base64URL.write(groups.4, to: cursor + 16)
                Base64URL.write(groups.5, to: cursor + 20)
                count = buffer.count
            }
            self.rest = UInt64(model & 0xFFFF)
            self.hash = hash
        }

        /// How many bytes a token takes.
        package var length: Int { self.prefix.count + TokenSigner.placeCharacters }

        /// Writes the token of one place to memory that has room for ``length`` bytes.
        package func write(rank: Int, item: Item.Number, to target: UnsafeMutablePointer<UInt8>) {
            let place = UInt64(UInt8(truncatingIfNeeded: rank)) << 32 | UInt64(item)
            // SipHash reads little endian; the five bytes are big endian.
            let tag = self.hash.tag(word: (place << 24).byteSwapped, length: TokenSigner.placeSize)
            self.prefix.withUnsafeBufferPointer {
                target.update(from: $0.baseAddress!, count: $0.count)
            }
            // Fifteen bytes: two of the head, five of the place, eight of the tag.
            let end = target + self.prefix.count
            let high = self.rest << 40 | place
            Base64URL.write(high >> 32, to: end)
            Base64URL.write(high >> 8, to: end + 4)
            Base64URL.write(high << 16 | tag >> 48, to: end + 8)
            Base64URL.write(tag >> 24, to: end + 12)
            Base64URL.write(tag, to: end + 16)
        }

        /// The token of one place.
        func token(rank: Int, item: Item.Number) -> String {
            String(unsafeUninitializedCapacity: self.length) { buffer in
                self.write(rank: rank, item: item, to: buffer.baseAddress!)
                return self.length
            }
        }
    }

    /// Whom the tokens of lists are for that are nobody's: whoever brings them. No client can be named like this.
    package static let nobody = User.ID(trusted: "")

    fileprivate static let sharedCharacters = 24
    fileprivate static let placeCharacters = 20
    private static let headSize = 20
    fileprivate static let placeSize = 5
    private static let size = headSize + placeSize + 8

    private let keys: SigningKeys
    /// `v1.KEY.` of the key that signs.
    private let name: [UInt8]

    package init(_ keys: SigningKeys) {
        self.keys = keys
        self.name = Array("v1.\(keys.signing.id).".utf8)
    }

    /// What makes cursors, by the same keys.
    var cursors: CursorSigner { CursorSigner(self.keys) }

    /// What signs the places of a response.
    func response(
        _ id: RecommendationID,
        model: ModelVersion.Number,
        tenant: Tenant.ID,
        user: User.ID
    ) -> Response {
        let hash = Self.hash(Self.head(id, model), self.keys.signing.key, tenant, user)
        return Response(name: self.name, id: id, model: UInt32(truncatingIfNeeded: model), hash: hash)
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
        _ key: ResponseMAC,
        _ tenant: Tenant.ID,
        _ user: User.ID
    ) -> SipHash {
        var message: [UInt8] = []
        message.reserveCapacity(2 + tenant.string.utf8.count + user.string.utf8.count + head.count)
        message.append(UInt8(tenant.string.utf8.count))
        message.append(contentsOf: tenant.string.utf8)
        message.append(UInt8(user.string.utf8.count))
        message.append(contentsOf: user.string.utf8)
        message += head
        return SipHash(key: message.withUnsafeBytes { key.words($0) })
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { self.append(contentsOf: $0) }
    }
}
