import RecommendationCore

/// What is left out for a user of lists that are not the user's own: what they have had, hidden or disliked, and what they do
/// not want to be shown.
///
/// Cached beside the user's pools, under the same rules; it depends on no model and no policy.
struct UserProfile: Sendable, Equatable {
    /// Items with any event but a view, in order of number.
    var seen: [Item.Number]
    var suppressions: [Suppression]
    /// What clients tell of the user, for the rules of policies.
    var labels: [UserLabel]

    init(seen: [Item.Number], suppressions: [Suppression] = [], labels: [UserLabel] = []) {
        self.seen = seen
        self.suppressions = suppressions
        self.labels = labels
    }

    /// - Parameter user: Without consent its history is empty, and its suppressions hold.
    init(_ user: UserState) {
        let history = user.consent ? user.history : []
        self.seen = Set(history.lazy.filter { $0.type != .view }.map(\.item)).sorted()
        self.suppressions = user.suppressions
        self.labels = user.labels
    }
}

/// The bytes of a ``UserProfile``, little endian:
///
///     0  format (2)   1 number of labels (1)   2 number of suppressions (2)   4 number of seen items (4)
///     8  seen items (4 each), then of each suppression kind (1), length of the key (1), key, then of each label length of the
///        name (1), name, length of the value (2), value
enum UserProfileCodec {
    static let format: UInt8 = 2
    private static let headerSize = 8

    static func encode(_ profile: UserProfile) -> [UInt8] {
        let labels = profile.labels.prefix(Int(UInt8.max))
        var bytes: [UInt8] = [Self.format, UInt8(labels.count)]
        bytes.reserveCapacity(Self.headerSize + 4 * profile.seen.count + 32 * profile.suppressions.count)
        func put<Value: FixedWidthInteger>(_ value: Value) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        let suppressions = profile.suppressions.prefix(Int(UInt16.max))
        put(UInt16(suppressions.count))
        put(UInt32(profile.seen.count))
        for item in profile.seen { put(item) }
        for suppression in suppressions {
            let key = suppression.key.string.utf8
            bytes.append(Self.code(suppression.kind))
            // An id has at most 128 bytes.
            bytes.append(UInt8(key.count))
            bytes.append(contentsOf: key)
        }
        for label in labels { LabelCodec.append(label, to: &bytes) }
        return bytes
    }

    /// The profile of these bytes; nil where they are not one.
    static func decode(_ bytes: [UInt8]) -> UserProfile? {
        guard bytes.count >= Self.headerSize, bytes[0] == Self.format else { return nil }
        func load<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
            bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
        }
        let suppressionCount = Int(load(2, as: UInt16.self))
        let seenCount = Int(load(4, as: UInt32.self))
        guard seenCount <= (bytes.count - Self.headerSize) / 4 else { return nil }
        let seen = (0..<seenCount).map { load(Self.headerSize + 4 * $0, as: UInt32.self) }
        guard zip(seen, seen.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
        var rest = bytes[(Self.headerSize + 4 * seenCount)...]
        var suppressions: [Suppression] = []
        for _ in 0..<suppressionCount {
            guard rest.count >= 2 else { return nil }
            let (code, length) = (rest.removeFirst(), Int(rest.removeFirst()))
            guard let kind = Suppression.Kind.allCases.first(where: { Self.code($0) == code }), rest.count >= length,
                let key = String(validating: rest.prefix(length), as: UTF8.self)
            else { return nil }
            rest = rest.dropFirst(length)
            suppressions.append(Suppression(kind: kind, key: Identifier(trusted: key)))
        }
        guard let labels = LabelCodec.labels(Int(bytes[1]), from: &rest), rest.isEmpty else { return nil }
        return UserProfile(seen: seen, suppressions: suppressions, labels: labels)
    }

    private static func code(_ kind: Suppression.Kind) -> UInt8 {
        switch kind {
        case .item: 1
        case .category: 2
        case .creator: 3
        }
    }
}
