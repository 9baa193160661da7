package import RecommendationCore

/// Factors of items that were made elsewhere: a vector for each.
package struct FactorMatrix: Sendable {
    /// How much two vectors are alike.
    package enum Similarity: String, CaseIterable, Sendable {
        /// Inner product.
        case dot
        /// Inner product of the vectors at length 1.
        case cosine
    }

    package let width: Int
    private var items: [Item.Number] = []
    private var values: [Float] = []

    package init(width: Int) {
        self.width = width
    }

    package var count: Int { self.items.count }

    /// - Parameter vector: ``width`` finite numbers.
    package mutating func append(item: Item.Number, vector: some Collection<Float>) {
        precondition(vector.count == self.width, "a vector of another width")
        self.items.append(item)
        self.values.append(contentsOf: vector)
    }

    /// The vectors at length 1; one of length 0 stays as it is, and is like none.
    private var normalised: [Float] {
        var values = self.values
        for row in 0..<self.count {
            let range = row * self.width..<(row + 1) * self.width
            // Of the largest first, so that no square overflows.
            let largest = values[range].reduce(0) { max($0, $1.magnitude) }
            guard largest > 0 else { continue }
            let length = values[range].reduce(0) { $0 + ($1 / largest) * ($1 / largest) }.squareRoot()
            for index in range { values[index] = values[index] / largest / length }
        }
        return values
    }

    /// The most similar others of each item, of similarities above 0; the same whatever the number of threads. Blocks.
    package func neighbours(_ limit: Int, by similarity: Similarity, threads: Int) -> GivenNeighbours {
        let (values, width, count) = (similarity == .cosine ? self.normalised : self.values, self.width, self.count)
        let items = self.items
        let found = Dealer.deal(count, threads: threads, state: Neighbourhoods.init) { found, row in
            found.top.reset(capacity: limit)
            values.withUnsafeBufferPointer { values in
                for other in 0..<count where other != row {
                    let score = Self.product(values, row * width, other * width, width)
                    guard score > 0, score.isFinite, score >= found.top.leastScore else { continue }
                    found.top.insert(RankKey.make(score, items[other]))
                }
            }
            found.rows.append((row, found.top.keys))
        }
        var given = GivenNeighbours()
        for (row, keys) in found.flatMap(\.rows).sorted(by: { $0.row < $1.row }) {
            for key in keys {
                given.append(item: items[row], neighbour: RankKey.number(key), weight: RankKey.score(key))
            }
        }
        return given
    }

    /// What one worker has found.
    private struct Neighbourhoods {
        var top = TopKeys()
        var rows: [(row: Int, keys: [UInt64])] = []
    }

    /// Sixteen sums side by side, which the compiler turns into vector instructions.
    @inline(__always)
    private static func product(_ values: UnsafeBufferPointer<Float>, _ a: Int, _ b: Int, _ width: Int) -> Float {
        let base = UnsafeRawPointer(values.baseAddress!)
        var sums = SIMD16<Float>.zero
        var index = 0
        while index + 16 <= width {
            sums +=
                base.loadUnaligned(fromByteOffset: 4 * (a + index), as: SIMD16<Float>.self)
                * base.loadUnaligned(fromByteOffset: 4 * (b + index), as: SIMD16<Float>.self)
            index += 16
        }
        var sum = sums.sum()
        while index < width {
            sum += values[a + index] * values[b + index]
            index += 1
        }
        return sum
    }
}
