/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed 64-bit tag of a few bytes.
struct SipHash {
    private let key: (UInt64, UInt64)

    /// A hash under 128 bits of key.
    init(key: (UInt64, UInt64)) {
        self.key = key
    }

    /// The tag of a message.
    func tag(_ message: some Collection<UInt8>) -> UInt64 {
        var v0 = self.key.0 ^ 0x736F_6D65_7073_6575
        var v1 = self.key.1 ^ 0x646F_7261_6E64_6F6D
        var v2 = self.key.0 ^ 0x6C79_6765_6E65_7261
        var v3 = self.key.1 ^ 0x7465_6462_7974_6573
        func rounds(_ count: Int) {
            for _ in 0..<count {
                v0 &+= v1
                v1 = v1 << 13 | v1 >> 51
                v1 ^= v0
                v0 = v0 << 32 | v0 >> 32
                v2 &+= v3
                v3 = v3 << 16 | v3 >> 48
                v3 ^= v2
                v0 &+= v3
                v3 = v3 << 21 | v3 >> 43
                v3 ^= v0
                v2 &+= v1
                v1 = v1 << 17 | v1 >> 47
                v1 ^= v2
                v2 = v2 << 32 | v2 >> 32
            }
        }
        func compress(_ word: UInt64) {
            v3 ^= word
            rounds(2)
            v0 ^= word
        }
        var word: UInt64 = 0
        var length: UInt64 = 0
        for byte in message {
            word |= UInt64(byte) << (8 * (length % 8))
            length += 1
            if length % 8 == 0 {
                compress(word)
                word = 0
            }
        }
        compress(word | (length & 0xFF) << 56)
        v2 ^= 0xFF
        rounds(4)
        return v0 ^ v1 ^ v2 ^ v3
    }
}
