import RecommendationCore

/// Makes cursors, and reads those that come back: `v1.KEY.BODY`, the body base64url of a ``PinnedList`` and of a code over it,
/// its tenant, its user and the incarnation of the data. To anybody else, or after the data went back, it is no cursor.
struct CursorSigner: Sendable {
    /// The most characters of a cursor: 250 items with marks, forty categories of the longest names and what stands around them.
    static let maximumLength = 16_384
    private static let version = "v1"
    private static let tagSize = 16

    private let keys: SigningKeys

    init(_ keys: SigningKeys) {
        self.keys = keys
    }

    /// The cursor of a list.
    func seal(_ list: PinnedList, tenant: Tenant.ID, user: User.ID, incarnation: String) -> String {
        let (id, key) = self.keys.signing
        let bytes = PinnedListCodec.encode(list)
        let tag = key.words(of: bytes, tenant, user, incarnation)
        let code = [tag.0, tag.1].flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
        return "\(Self.version).\(id).\(Base64URL.encode(bytes + code))"
    }

    /// The list of a cursor; nil where it was not made for this tenant and user, of these data, by these keys.
    func open(_ cursor: String, tenant: Tenant.ID, user: User.ID, incarnation: String) -> PinnedList? {
        let parts = cursor.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard cursor.utf8.count <= Self.maximumLength, parts.count == 3, parts[0] == Self.version,
            let key = self.keys.key(parts[1]), let bytes = Base64URL.decode(parts[2]), bytes.count > Self.tagSize
        else { return nil }
        let body = Array(bytes.dropLast(Self.tagSize))
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        let given = (word(bytes[body.count..<body.count + 8]), word(bytes[(body.count + 8)...]))
        let code = key.words(of: body, tenant, user, incarnation)
        // In one step: how alike they are does not show in the time.
        guard (code.0 ^ given.0) | (code.1 ^ given.1) == 0 else { return nil }
        return PinnedListCodec.decode(body)
    }
}

extension ResponseMAC {
    /// No tracking token's message begins like this, and no node's.
    private static var purpose: String { "\0cursor 1\0" }

    fileprivate func words(
        of body: [UInt8],
        _ tenant: Tenant.ID,
        _ user: User.ID,
        _ incarnation: String
    ) -> (UInt64, UInt64) {
        var message = Array(Self.purpose.utf8)
        for text in [tenant.string, user.string, incarnation] {
            message.append(UInt8(clamping: text.utf8.count))
            message.append(contentsOf: text.utf8)
        }
        message += body
        return message.withUnsafeBytes { self.words($0) }
    }
}
