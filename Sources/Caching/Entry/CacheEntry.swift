/// A cached value with what decides whether it may be served.
public struct CacheEntry: Sendable, Equatable {
    /// The version of the owner that the value was computed from.
    public var version: Int64
    /// When it was computed, in milliseconds of Redis time.
    public var computedAt: Int64
    /// From then on it is stale, in milliseconds of Redis time.
    public var softExpiry: Int64
    /// From then on it is not served at all, in milliseconds of Redis time.
    public var hardExpiry: Int64
    /// What it cost to compute, in microseconds.
    public var cost: UInt32
    /// The value.
    public var payload: [UInt8]

    /// An entry of these parts.
    public init(
        version: Int64,
        computedAt: Int64,
        softExpiry: Int64,
        hardExpiry: Int64,
        cost: UInt32,
        payload: [UInt8]
    ) {
        self.version = version
        self.computedAt = computedAt
        self.softExpiry = softExpiry
        self.hardExpiry = hardExpiry
        self.cost = cost
        self.payload = payload
    }
}

/// Why bytes are not the entry that was asked for. None is an error to a reader: each is a miss and a counter.
public enum CacheEntryError: String, Error, CaseIterable, Sendable {
    case truncated, foreign, futureFormat, checksum, echo, implausible
}

/// The format of an entry in L2, little endian:
///
///     0  magic "VRE1"      4  format version (1 byte), 3 bytes zero
///     8  checksum of everything from byte 16 on (8)
///     16 version (8)       24 computed-at (8)    32 soft expiry (8)   40 hard expiry (8)
///     48 cost (4)          52 key length (2)     54 field length (2)  56 payload length (4)
///     60 key, field, payload
///
/// Key and field are echoed, so that an entry that ends up under another user's name is seen for what it is.
extension CacheEntry {
    private static let magic: UInt32 = 0x3145_5256
    /// To be counted up when anything of it changes; times stay where they are, for those who tidy up.
    public static let formatVersion: UInt8 = 1
    private static let headerSize = 60
    /// Milliseconds since 1970; a hundred thousand years from now.
    private static let latestTime: Int64 = 1 << 52
    private static let longestLife: Int64 = 86_400_000

    /// The entry's bytes for a key and field.
    public func encoded(key: CacheKey, field: CacheField) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerSize + key.bytes.count + field.bytes.count + self.payload.count)
        bytes.append(littleEndian: Self.magic)
        bytes.append(littleEndian: UInt32(Self.formatVersion))
        bytes.append(littleEndian: UInt64(0))
        bytes.append(littleEndian: self.version)
        bytes.append(littleEndian: self.computedAt)
        bytes.append(littleEndian: self.softExpiry)
        bytes.append(littleEndian: self.hardExpiry)
        bytes.append(littleEndian: self.cost)
        bytes.append(littleEndian: UInt16(key.bytes.count))
        bytes.append(littleEndian: UInt16(field.bytes.count))
        bytes.append(littleEndian: UInt32(self.payload.count))
        bytes.append(contentsOf: key.bytes)
        bytes.append(contentsOf: field.bytes)
        bytes.append(contentsOf: self.payload)
        let checksum = Checksum.of(bytes, from: 16)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: checksum.littleEndian, toByteOffset: 8, as: UInt64.self) }
        return bytes
    }

    /// Reads an entry that must be the one of a key and field.
    public init(decoding bytes: [UInt8], key: CacheKey, field: CacheField) throws(CacheEntryError) {
        guard bytes.count >= Self.headerSize else { throw .truncated }
        func load<Value: FixedWidthInteger>(_ offset: Int, _ type: Value.Type) -> Value {
            bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
        }
        guard load(0, UInt32.self) == Self.magic else { throw .foreign }
        guard load(4, UInt32.self) == UInt32(Self.formatVersion) else { throw .futureFormat }
        let keyLength = Int(load(52, UInt16.self))
        let fieldLength = Int(load(54, UInt16.self))
        let payloadLength = Int(load(56, UInt32.self))
        guard bytes.count == Self.headerSize + keyLength + fieldLength + payloadLength else { throw .truncated }
        guard load(8, UInt64.self) == Checksum.of(bytes, from: 16) else { throw .checksum }
        let fieldStart = Self.headerSize + keyLength
        let payloadStart = fieldStart + fieldLength
        guard bytes[Self.headerSize..<fieldStart].elementsEqual(key.bytes),
            bytes[fieldStart..<payloadStart].elementsEqual(field.bytes)
        else { throw .echo }
        let computedAt = load(24, Int64.self)
        let softExpiry = load(32, Int64.self)
        let hardExpiry = load(40, Int64.self)
        // A checksum is no signature: times that nobody would write must not be calculated with, nor served for ever.
        guard load(16, Int64.self) >= 0, (0...Self.latestTime).contains(computedAt), computedAt <= softExpiry,
            softExpiry <= hardExpiry, hardExpiry - computedAt <= Self.longestLife
        else { throw .implausible }
        self.init(
            version: load(16, Int64.self),
            computedAt: computedAt,
            softExpiry: softExpiry,
            hardExpiry: hardExpiry,
            cost: load(48, UInt32.self),
            payload: Array(bytes[payloadStart...])
        )
    }
}

/// A 64-bit checksum against accidents (not against forgery): words folded by the 128-bit multiply of wyhash.
enum Checksum {
    static func of(_ bytes: [UInt8], from start: Int) -> UInt64 {
        bytes.withUnsafeBytes { buffer in
            var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(buffer.count - start)
            var offset = start
            while offset + 8 <= buffer.count {
                let word = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                hash = Self.mix(hash ^ word, 0xA076_1D64_78BD_642F)
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < buffer.count {
                tail = tail << 8 | UInt64(buffer[offset])
                offset += 1
            }
            return Self.mix(hash ^ tail, 0xE703_7ED1_A0B4_28DB)
        }
    }

    private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (high, low) = a.multipliedFullWidth(by: b)
        // The sum with `a` keeps a product of zero from swallowing what came before.
        return (high ^ low) &+ a
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { self.append(contentsOf: $0) }
    }
}
