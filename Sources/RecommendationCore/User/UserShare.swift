/// A part of the users, drawn by a salted hash: always the same for a salt, on every node.
enum UserShare {
    /// All users, in hundredths of a percent.
    static let whole = 10_000

    /// Whether a user is of a share. Shares of different salts say nothing of each other, and a larger one keeps the users of a
    /// smaller one of the same salt.
    ///
    /// - Parameter share: In hundredths of a percent of the users.
    static func takes(_ user: User.ID, salt: UInt64, share: Int) -> Bool { Self.bucket(user, salt: salt) < share }

    /// One of ten thousand.
    static func bucket(_ user: User.ID, salt: UInt64) -> Int {
        // FNV-1a over the bytes, then the finaliser of SplitMix64, which spreads what FNV leaves in its high bits.
        var hash = Self.bytes(user.string, 0xcbf2_9ce4_8422_2325 ^ salt &* 0x9e37_79b9_7f4a_7c15)
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        hash ^= hash >> 31
        return Int(hash.multipliedFullWidth(by: UInt64(Self.whole)).high)
    }

    /// A salt of a name.
    static func salt(_ name: String) -> UInt64 { Self.bytes(name, 0x9ae1_6a3b_2f90_404f) }

    private static func bytes(_ text: String, _ start: UInt64) -> UInt64 {
        text.utf8.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
