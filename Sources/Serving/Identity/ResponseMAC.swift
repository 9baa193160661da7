import Crypto

/// HMAC-SHA256 (RFC 2104) of messages that are bytes in memory, under a key that is prepared once.
///
/// `HMAC` of the library is generic, prepares the key at each message, and takes several times as long as the hash.
struct ResponseMAC: Sendable {
    private static let blockSize = 64

    private let inner: [UInt8]
    private let outer: [UInt8]

    init(key: SymmetricKey) {
        var block = [UInt8](repeating: 0, count: Self.blockSize)
        key.withUnsafeBytes { bytes in
            let key = bytes.count > Self.blockSize ? Array(SHA256.hash(data: Array(bytes))) : Array(bytes)
            block.replaceSubrange(..<key.count, with: key)
        }
        self.inner = block.map { $0 ^ 0x36 }
        self.outer = block.map { $0 ^ 0x5C }
    }

    /// The first 16 bytes of the code, as two big-endian words.
    func words(_ message: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
        var hash = SHA256()
        self.inner.withUnsafeBytes { hash.update(bufferPointer: $0) }
        hash.update(bufferPointer: message)
        let digest = hash.finalize()
        var outer = SHA256()
        self.outer.withUnsafeBytes { outer.update(bufferPointer: $0) }
        digest.withUnsafeBytes { outer.update(bufferPointer: $0) }
        return outer.finalize().withUnsafeBytes { code in
            (
                UInt64(bigEndian: code.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: code.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }
}
