package import RecommendationCore

/// An item that is like another one.
package struct Neighbour: Sendable, Equatable {
    package let item: Item.Number
    /// Comparable within a graph; of a collaborative one it may be above 1, or below 0 for what speaks against the other.
    package let weight: Float

    package init(item: Item.Number, weight: Float) {
        self.item = item
        self.weight = weight
    }
}

/// Rows of weighted items in compressed form; within a row the heaviest first.
package struct NeighbourGraph: Sendable, Equatable {
    /// Where a row begins; one more than there are rows.
    let offsets: [UInt32]
    let ids: [Item.Number]
    /// ``HalfFloat`` patterns.
    let weights: [UInt16]

    package var rowCount: Int { self.offsets.count - 1 }
    package var edgeCount: Int { self.ids.count }
    /// Rows that are not empty.
    package var linkedRowCount: Int { zip(self.offsets, self.offsets.dropFirst()).count { $0.0 < $0.1 } }

    /// The positions of a row's edges; empty for a row that does not exist.
    @inline(__always)
    func row(_ index: Int) -> Range<Int> {
        guard index < self.rowCount else { return 0..<0 }
        return Int(self.offsets[index])..<Int(self.offsets[index + 1])
    }

    /// Reads a word of every cache line of a row: the misses of many rows overlap, where a loop that uses what it reads waits
    /// for one after the other. Returns their sum, for the reads to be of use.
    @inline(__always)
    func touch(_ positions: Range<Int>) -> UInt32 {
        let ids = self.ids.span
        let weights = self.weights.span
        var sum: UInt32 = 0
        for position in stride(from: positions.lowerBound, to: positions.upperBound, by: 16) {
            sum &+= ids[unchecked: position]
        }
        for position in stride(from: positions.lowerBound, to: positions.upperBound, by: 32) {
            sum &+= UInt32(weights[unchecked: position])
        }
        return sum
    }

    func neighbours(in positions: Range<Int>) -> [Neighbour] {
        positions.map { Neighbour(item: self.ids[$0], weight: HalfFloat.decode(self.weights[$0])) }
    }

    /// The items that go together with an item, the closest first.
    package func neighbours(of item: Item.Number) -> [Neighbour] {
        self.neighbours(in: self.row(Int(item)))
    }

    static func empty(rowCount: Int) -> NeighbourGraph {
        NeighbourGraph(offsets: [UInt32](repeating: 0, count: rowCount + 1), ids: [], weights: [])
    }
}
