/// The owner of cached entries, as opaque bytes: two keys are the same only if their bytes are.
///
/// The hash is taken once, with the process's random seed, so that a lookup hashes no bytes and nobody outside can
/// choose ids that collide.
public struct CacheKey: Hashable, Sendable {
    /// The bytes, percent-encoded: `A-Za-z0-9._~-`, `%`, and the separators of the schema.
    public let bytes: [UInt8]
    let hash: Int

    /// A key of these bytes.
    public init(bytes: [UInt8]) {
        self.bytes = bytes
        var hasher = Hasher()
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        self.hash = hasher.finalize()
    }

    /// The key `NAMESPACE:{OWNER/MEMBER}`: each part encoded byte by byte; the braces keep an owner's member in one
    /// Redis Cluster slot.
    public init(namespace: String, owner: String, member: String) {
        self.init(prefix: Self.prefix(namespace: namespace, owner: owner), member: member)
    }

    /// The key of one member of an owner, whose keys begin as ``prefix(namespace:owner:)`` says.
    public init(prefix: [UInt8], member: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(prefix.count + member.utf8.count + 8)
        bytes.append(contentsOf: prefix)
        bytes.appendPercentEncoded(member)
        bytes.append(UInt8(ascii: "}"))
        self.init(bytes: bytes)
    }

    /// What the keys of all members of an owner begin with.
    public static func prefix(namespace: String, owner: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendPercentEncoded(namespace)
        bytes.append(contentsOf: ":{".utf8)
        bytes.appendPercentEncoded(owner)
        bytes.append(UInt8(ascii: "/"))
        return bytes
    }

    /// The parts of a key made by ``init(namespace:owner:member:)``; nil for any other bytes.
    public var parts: (namespace: String, owner: String, member: String)? {
        guard let brace = self.bytes.firstIndex(of: UInt8(ascii: "{")), brace > 0,
            self.bytes[brace - 1] == UInt8(ascii: ":"), self.bytes.last == UInt8(ascii: "}"),
            let slash = self.bytes[brace...].firstIndex(of: UInt8(ascii: "/")),
            let namespace = String(percentDecoding: self.bytes[..<(brace - 1)]),
            let owner = String(percentDecoding: self.bytes[(brace + 1)..<slash]),
            let member = String(percentDecoding: self.bytes[(slash + 1)..<(self.bytes.count - 1)])
        else { return nil }
        return (namespace, owner, member)
    }

    /// Whether two keys have the same bytes.
    public static func == (lhs: Self, rhs: Self) -> Bool { lhs.hash == rhs.hash && lhs.bytes == rhs.bytes }

    /// Feeds the hash that was taken once.
    public func hash(into hasher: inout Hasher) { hasher.combine(self.hash) }
}

/// The name of one entry of a key: encoded parts joined by `|`.
public struct CacheField: Hashable, Sendable {
    /// The bytes of the field's name.
    public let bytes: [UInt8]

    /// A field of these bytes.
    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A field of these parts, each encoded byte by byte.
    public init(parts: [String]) {
        var bytes: [UInt8] = []
        for (index, part) in parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "|")) }
            bytes.appendPercentEncoded(part)
        }
        self.bytes = bytes
    }
}

extension [UInt8] {
    /// Appends a string percent-encoded: every byte but `A-Za-z0-9._~-` becomes `%XX`.
    mutating func appendPercentEncoded(_ string: String) {
        let hex = StaticString("0123456789ABCDEF")
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"),
                UInt8(ascii: "-"):
                self.append(byte)
            default:
                self.append(UInt8(ascii: "%"))
                self.append(hex.utf8Start[Int(byte >> 4)])
                self.append(hex.utf8Start[Int(byte & 15)])
            }
        }
    }
}

extension String {
    /// The text of percent-encoded UTF-8; nil where it is neither.
    fileprivate init?(percentDecoding bytes: ArraySlice<UInt8>) {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                decoded.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else { return nil }
            decoded.append(high << 4 | low)
        }
        self.init(validating: decoded, as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
