/// One of the 16,384 parts that a cluster divides its keys into.
///
/// Source: Redis Cluster specification, "Key distribution model" and "Hash tags".
public struct HashSlot: Sendable, Hashable, Comparable {
    /// How many there are.
    public static let count = 16_384

    /// Below ``count``.
    public let number: Int

    /// A slot of a number; nil: there is none.
    public init?(_ number: Int) {
        guard 0..<Self.count ~= number else { return nil }
        self.number = number
    }

    /// The slot of a key: of what stands between its first `{` and the `}` behind that, if anything does, else of all of it.
    public init(of key: some Collection<UInt8>) {
        var hashed = key[...]
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let tagged = key[key.index(after: open)...]
            if let close = tagged.firstIndex(of: UInt8(ascii: "}")), close != tagged.startIndex {
                hashed = tagged[..<close]
            }
        }
        self.number = Int(Self.checksum(hashed)) % Self.count
    }

    /// By number.
    public static func < (left: HashSlot, right: HashSlot) -> Bool { left.number < right.number }

    /// CRC-16/XMODEM: polynomial 0x1021, nothing reflected, from zero.
    private static func checksum(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { $0 << 8 ^ Self.table[Int($0 >> 8 ^ UInt16($1))] }
    }

    private static let table: [UInt16] = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { sum, _ in sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
    }
}
