package import RecommendationCore

/// Some tombstones, and where the next begin.
package struct TombstonePage: Sendable, Equatable {
    package let tombstones: [ListedTombstone]
    /// nil: there are no more.
    package let nextCursor: String?

    package init(tombstones: [ListedTombstone], nextCursor: String?) {
        self.tombstones = tombstones
        self.nextCursor = nextCursor
    }
}

/// Where a page of tombstones begins: after one of them. Opaque, and without a signature: it says nothing that its bearer may
/// not ask.
package enum TombstoneCursor {
    private static let prefix = "t1."

    package static func text(after listed: ListedTombstone) -> String {
        let tombstone = listed.tombstone
        return Self.prefix + Base64URL.encode(Array("\(listed.epoch) \(tombstone.kind.rawValue) \(tombstone.key)".utf8))
    }

    /// The place in a cursor; nil for any other text.
    package static func place(of text: String) -> TombstonePlace? {
        guard text.utf8.starts(with: Self.prefix.utf8),
            let bytes = Base64URL.decode(Substring(text.utf8.dropFirst(Self.prefix.utf8.count))),
            let string = String(validating: bytes, as: UTF8.self)
        else { return nil }
        // By bytes: a space and what is combined with it are one character.
        let parts = string.utf8.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let epoch = Int64(Substring(parts[0])), epoch >= 0,
            let kind = Tombstone.Kind(rawValue: String(Substring(parts[1]))),
            let key = try? Identifier<Tombstone>(validating: String(Substring(parts[2])))
        else { return nil }
        return TombstonePlace(epoch: epoch, tombstone: Tombstone(kind: kind, key: key))
    }
}
