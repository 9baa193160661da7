import Glibc
import RecommendationCore

/// How much items are used, from counts to an order.
enum Popularity {
    /// log1p(count) / log1p(largest count); 0 where the count is not above 0.
    static func normalised(_ counts: [Double]) -> [Float] {
        let largest = counts.reduce(0) { max($0, $1) }
        guard largest > 0 else { return [Float](repeating: 0, count: counts.count) }
        let divisor = log1p(largest)
        return counts.map { $0 > 0 ? Float(min(log1p($0) / divisor, 1)) : 0 }
    }

    /// Every number, the most popular first, ties by number.
    static func order(_ popularity: [Float]) -> [Item.Number] {
        var keys = popularity.indices.map { RankKey.make(popularity[$0], UInt32($0)) }
        keys.sort(by: >)
        return keys.map(RankKey.number)
    }
}
