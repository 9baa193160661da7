import Synchronization

/// xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), seeded by the system: for ids,
/// where every number from the system would be a system call. Not for secrets.
package struct QuickGenerator: RandomNumberGenerator, Sendable {
    private static let shared = Mutex(QuickGenerator())

    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init() {
        var system = SystemRandomNumberGenerator()
        // All zero, the one state that does not move, is ruled out by the last word.
        self.state = (system.next(), system.next(), system.next(), system.next() | 1)
    }

    package mutating func next() -> UInt64 {
        let product = self.state.1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let shifted = self.state.1 << 17
        self.state.2 ^= self.state.0
        self.state.3 ^= self.state.1
        self.state.1 ^= self.state.2
        self.state.0 ^= self.state.3
        self.state.2 ^= shifted
        self.state.3 = self.state.3 << 45 | self.state.3 >> 19
        return result
    }

    /// What a use makes of one generator that callers on all threads have in common.
    static func sharing<Value: Sendable>(_ use: (inout QuickGenerator) -> Value) -> Value {
        Self.shared.withLock { use(&$0) }
    }
}
