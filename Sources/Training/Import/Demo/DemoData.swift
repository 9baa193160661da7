package import RecommendationCore

/// A synthetic catalogue with users who have tastes: the same sizes and seed give the same bytes on every machine.
///
/// Items and users belong to latent clusters, so that collaborative filtering finds something: a user mixes one to three
/// clusters, a cluster has a slice of the catalogue with its own popular head and its own genres. Popularity is Zipf's, activity
/// lognormal, 2 % of the users have no interaction.
///
/// Only what IEEE 754 defines to the last bit is used (+ − × ÷ and square root): `exp`, `log` and `pow` differ between C
/// libraries, and even between processors under the same one.
package struct DemoData: Equatable, Sendable {
    package static let userRange = 1...10_000_000
    package static let itemRange = 1...1_000_000
    package static let interactionRange = 0...100_000_000

    /// All interactions happened in the 90 days before 2026-09-01T00:00:00Z.
    package static let end = Timestamp(seconds: 1_788_220_800)
    package static let days = 90

    package let users: Int
    package let items: Int
    package let interactions: Int
    package let seed: UInt64

    package init(users: Int, items: Int, interactions: Int, seed: UInt64) throws(ImportError) {
        let sizes = [
            ("users", users, Self.userRange), ("items", items, Self.itemRange),
            ("interactions", interactions, Self.interactionRange),
        ]
        for (name, value, allowed) in sizes where !allowed.contains(value) {
            throw .outOfRange(name: name, value: value, allowed: allowed)
        }
        self.users = users
        self.items = items
        self.interactions = interactions
        self.seed = seed
    }

    /// The id of a user, counted from 1: `u000001`.
    package static func userID(_ number: Int) -> User.ID { User.ID(trusted: Self.id(UInt8(ascii: "u"), number)) }

    /// The id of an item, counted from 1: `i000001`.
    package static func itemID(_ number: Int) -> Item.ID { Item.ID(trusted: Self.id(UInt8(ascii: "i"), number)) }

    /// A letter and at least six digits.
    private static func id(_ letter: UInt8, _ number: Int) -> String {
        var digits = 6
        var limit = 1_000_000
        while number >= limit {
            digits += 1
            limit *= 10
        }
        return String(unsafeUninitializedCapacity: digits + 1) { bytes in
            bytes[0] = letter
            var rest = number
            for place in stride(from: digits, to: 0, by: -1) {
                bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            return digits + 1
        }
    }

    /// What random numbers are drawn for; each has generators of its own, so that one does not move another.
    enum Stream {
        static let ranks: UInt64 = 1
        static let cluster: UInt64 = 2
        static let item: UInt64 = 3
        static let title: UInt64 = 4
        static let activity: UInt64 = 5
        static let taste: UInt64 = 6
        static let interaction: UInt64 = 7
    }
}
