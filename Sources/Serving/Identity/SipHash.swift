/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed 64-bit tag of a few bytes.
struct SipHash {
    private let key: (UInt64, UInt64)

    /// A hash under 128 bits of key.
    init(key: (UInt64, UInt64)) {
        self.key = key
    }

    /// The tag of a message.
    func tag(_ message: some Collection<UInt8>) -> UInt64 {
        var state = State(self.key)
        var word: UInt64 = 0
        var length: UInt64 = 0
        for byte in message {
            word |= UInt64(byte) << (8 * (length % 8))
            length += 1
            if length % 8 == 0 {
                state.compress(word)
                word = 0
            }
        }
        return state.finish(word, length: length)
    }

    /// The tag of a message of less than eight bytes, the first of them the lowest of `word`.
    func tag(word: UInt64, length: Int) -> UInt64 {
        var state = State(self.key)
        return state.finish(word, length: UInt64(length))
    }

    private struct State {
        private var v0: UInt64
        private var v1: UInt64
        private var v2: UInt64
        private var v3: UInt64

        @inline(__always)
        init(_ key: (UInt64, UInt64)) {
            self.v0 = key.0 ^ 0x736F_6D65_7073_6575
            self.v1 = key.1 ^ 0x646F_7261_6E64_6F6D
            self.v2 = key.0 ^ 0x6C79_6765_6E65_7261
            self.v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        @inline(__always)
        mutating func compress(_ word: UInt64) {
            self.v3 ^= word
            self.round()
            self.round()
            self.v0 ^= word
        }

        /// The tag, after the last word, which is not full.
        @inline(__always)
        mutating func finish(_ word: UInt64, length: UInt64) -> UInt64 {
            self.compress(word | (length & 0xFF) << 56)
            self.v2 ^= 0xFF
            for _ in 0..<4 { self.round() }
            return self.v0 ^ self.v1 ^ self.v2 ^ self.v3
        }

        @inline(__always)
        private mutating func round() {
            self.v0 &+= self.v1
            self.v1 = self.v1 << 13 | self.v1 >> 51
            self.v1 ^= self.v0
            self.v0 = self.v0 << 32 | self.v0 >> 32
            self.v2 &+= self.v3
            self.v3 = self.v3 << 16 | self.v3 >> 48
            self.v3 ^= self.v2
            self.v0 &+= self.v3
            self.v3 = self.v3 << 21 | self.v3 >> 43
            self.v3 ^= self.v0
            self.v2 &+= self.v1
            self.v1 = self.v1 << 17 | self.v1 >> 47
            self.v1 ^= self.v2
            self.v2 = self.v2 << 32 | self.v2 >> 32
        }
    }
}
