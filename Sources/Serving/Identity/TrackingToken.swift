package import RecommendationCore

/// What a token says: this item stood at this place of this slate.
package struct TrackingToken: Sendable, Equatable {
    package let recommendationID: RecommendationID
    /// From 1.
    package let rank: Int
    package let item: Item.Number
    package let origin: SlateOrigin
}

/// What a slate was made of, and for whom.
package struct SlateOrigin: Sendable, Equatable {
    /// ``TokenSigner/nobody``: whoever brings the token.
    package var user: User.ID
    package var model: ModelVersion.Number
    /// The surface it stood on, or the name of the list; nil: of a token of version 1, which does not say.
    package var surface: String?
    /// The version of the policy; nil as for ``surface``.
    package var policy: String?
    /// The variant of an experiment; empty: of none; nil as for ``surface``.
    package var variant: String?

    package init(
        user: User.ID,
        model: ModelVersion.Number,
        surface: String? = nil,
        policy: String? = nil,
        variant: String? = nil
    ) {
        self.user = user
        self.model = model
        self.surface = surface
        self.policy = policy
        self.variant = variant
    }

    /// Whose slate it was, where somebody was named.
    package var named: User.ID? { self.user == TokenSigner.nobody ? nil : self.user }
}

/// Why a token is not believed.
package enum TokenRefusal: Error, Sendable, Equatable {
    /// It is no token, or not one that was signed for this tenant and user.
    case invalid
    /// The key that it names is none of those that this fleet knows (any more).
    case unknownKey
    /// It is of a life of its user that was erased.
    case outlived

    /// The code in answers.
    var code: String {
        switch self {
        case .invalid: "invalid_token"
        case .unknownKey: "unknown_key"
        case .outlived: "expired_token"
        }
    }

    /// What would have been believed.
    var allowed: String {
        switch self {
        case .invalid: "a token of this user and item"
        case .unknownKey: "a token signed by one of the keys in use"
        case .outlived: "a token from after the user's erasure"
        }
    }
}

/// Signs the tokens of one response, and verifies those that come back.
///
/// A token is `v2.KEY.BODY`, the body base64url of: recommendation id (16), model (4), surface, policy, variant and user, each
/// after its length (1), zeros up to two bytes past a multiple of three, rank (1), item number (4), tag (8). One HMAC-SHA256 a
/// response, over the tenant and all that the places have in common, gives the key of that response; the tag of a place is
/// SipHash-2-4 under it. Bound to tenant and user, a token says nothing elsewhere.
///
/// Of tokens of version 1, which are verified still, the body is: recommendation id (16), model (4), rank (1), item number (4),
/// tag (8). Their user is not in them, and only in what is signed.
package struct TokenSigner: Sendable {
    /// The key of one response.
    package struct Response: Sendable {
        /// `v2.KEY.` and the characters that all places of the response share.
        private let prefix: [UInt8]
        /// What the remaining characters begin with: the last two bytes of the head.
        private let rest: UInt64
        private let hash: SipHash

        /// - Parameters:
        ///   - name: `v2.KEY.`
        ///   - head: Of two bytes more than a multiple of three.
        fileprivate init(name: [UInt8], head: ArraySlice<UInt8>, hash: SipHash) {
            let shared = head.dropLast(2)
            self.prefix = [UInt8](unsafeUninitializedCapacity: name.count + shared.count / 3 * 4) { buffer, count in
                var cursor = buffer.baseAddress!
                cursor.initialize(from: name, count: name.count)
                cursor += name.count
                var index = shared.startIndex
                while index < shared.endIndex {
                    Base64URL.write(
                        UInt64(head[index]) << 16 | UInt64(head[index + 1]) << 8 | UInt64(head[index + 2]),
                        to: cursor
                    )
                    index += 3
                    cursor += 4
                }
                count = buffer.count
            }
            self.rest = UInt64(head[head.endIndex - 2]) << 8 | UInt64(head[head.endIndex - 1])
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

    fileprivate static let placeCharacters = 20
    /// The id and the model.
    private static let fixedSize = 20
    fileprivate static let placeSize = 5
    private static let tagSize = 8
    /// No message of version 1 begins like this: theirs begin with the length of a tenant's name.
    private static let purpose = Array("\0token 2\0".utf8)

    private let keys: SigningKeys
    private let form: TokenForm
    /// `v2.KEY.` of the key that signs, and `v1.KEY.`.
    private let name: [UInt8]
    private let firstName: [UInt8]

    /// - Parameter form: Says which version is signed.
    package init(_ keys: SigningKeys, form: TokenForm = TokenForm()) {
        self.keys = keys
        self.form = form
        self.name = Array("v2.\(keys.signing.id).".utf8)
        self.firstName = Array("v1.\(keys.signing.id).".utf8)
    }

    /// What makes cursors, by the same keys.
    var cursors: CursorSigner { CursorSigner(self.keys) }

    /// What signs the places of a response.
    func response(_ id: RecommendationID, tenant: Tenant.ID, _ origin: SlateOrigin) -> Response {
        var message: [UInt8] = []
        message.reserveCapacity(192)
        if self.form.isFirst {
            message.appendText(tenant.string)
            message.appendText(origin.user.string)
            let start = message.count
            message.appendBigEndian(id.high)
            message.appendBigEndian(id.low)
            message.appendBigEndian(UInt32(truncatingIfNeeded: origin.model))
            let hash = SipHash(key: message.withUnsafeBytes { self.keys.signing.key.words($0) })
            return Response(name: self.firstName, head: message[start...], hash: hash)
        }
        message += Self.purpose
        message.appendText(tenant.string)
        let start = message.count
        message.appendBigEndian(id.high)
        message.appendBigEndian(id.low)
        message.appendBigEndian(UInt32(truncatingIfNeeded: origin.model))
        message.appendText(origin.surface ?? "")
        message.appendText(origin.policy ?? "")
        message.appendText(origin.variant ?? "")
        message.appendText(origin.user.string)
        while (message.count - start) % 3 != 2 { message.append(0) }
        let hash = SipHash(key: message.withUnsafeBytes { self.keys.signing.key.words($0) })
        return Response(name: self.name, head: message[start...], hash: hash)
    }

    /// One token by itself.
    package func sign(_ token: TrackingToken, tenant: Tenant.ID) -> String {
        self.response(token.recommendationID, tenant: tenant, token.origin).token(rank: token.rank, item: token.item)
    }

    /// The token of these characters, if it was signed for this tenant, and for this user or nobody.
    package func verify(_ text: String, tenant: Tenant.ID, user: User.ID) throws(TokenRefusal) -> TrackingToken {
        let token = try self.verify(text, tenant: tenant, mayBeOf: [user, Self.nobody])
        guard [user, Self.nobody].contains(token.origin.user) else { throw .invalid }
        return token
    }

    /// The token of these characters, if it was signed for this tenant and says for whom, or for nobody.
    package func verify(_ text: String, tenant: Tenant.ID) throws(TokenRefusal) -> TrackingToken {
        try self.verify(text, tenant: tenant, mayBeOf: [Self.nobody])
    }

    /// - Parameter users: Whom one of version 1 is looked at for.
    private func verify(
        _ text: String,
        tenant: Tenant.ID,
        mayBeOf users: [User.ID]
    ) throws(TokenRefusal) -> TrackingToken {
        let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "v1" || parts[0] == "v2", let bytes = Base64URL.decode(parts[2]),
            bytes.count >= Self.fixedSize + Self.placeSize + Self.tagSize
        else { throw .invalid }
        guard let key = self.keys.key(parts[1]) else { throw .unknownKey }
        let head = bytes.dropLast(Self.placeSize + Self.tagSize)
        if parts[0] == "v1" {
            guard head.count == Self.fixedSize else { throw .invalid }
            for user in users {
                var message: [UInt8] = []
                message.appendText(tenant.string)
                message.appendText(user.string)
                if Self.holds(bytes, under: key, message + head) { return Self.token(bytes, user: user) }
            }
            throw .invalid
        }
        var message = Self.purpose
        message.appendText(tenant.string)
        guard Self.holds(bytes, under: key, message + head) else { throw .invalid }
        var rest = head.dropFirst(Self.fixedSize)
        guard let surface = Self.text(&rest), let policy = Self.text(&rest), let variant = Self.text(&rest),
            let user = Self.text(&rest), rest.count < 3
        else { throw .invalid }
        return Self.token(bytes, user: User.ID(trusted: user), surface: surface, policy: policy, variant: variant)
    }

    /// Whether the tag is that of the place, by the key of a response.
    private static func holds(_ bytes: [UInt8], under key: ResponseMAC, _ message: [UInt8]) -> Bool {
        let hash = SipHash(key: message.withUnsafeBytes { key.words($0) })
        let end = bytes.count - Self.tagSize
        // Two words are compared in one step: how alike they are does not show in the time.
        return hash.tag(bytes[end - Self.placeSize..<end]) == Self.word(bytes[end...])
    }

    private static func token(
        _ bytes: [UInt8],
        user: User.ID,
        surface: String? = nil,
        policy: String? = nil,
        variant: String? = nil
    ) -> TrackingToken {
        let place = bytes.dropLast(Self.tagSize).suffix(Self.placeSize)
        return TrackingToken(
            recommendationID: RecommendationID(high: Self.word(bytes[0..<8]), low: Self.word(bytes[8..<16])),
            rank: Int(place.first ?? 0),
            item: UInt32(Self.word(place.dropFirst())),
            origin: SlateOrigin(
                user: user,
                model: Int64(Self.word(bytes[16..<20])),
                surface: surface,
                policy: policy,
                variant: variant
            )
        )
    }

    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    /// Takes a text off the beginning; nil where there is none.
    private static func text(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard let length = rest.popFirst().map(Int.init), rest.count >= length else { return nil }
        defer { rest = rest.dropFirst(length) }
        return String(validating: rest.prefix(length), as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { self.append(contentsOf: $0) }
    }

    /// Appends a name of at most 255 bytes after its length.
    fileprivate mutating func appendText(_ text: String) {
        self.append(UInt8(text.utf8.count))
        self.append(contentsOf: text.utf8)
    }
}
