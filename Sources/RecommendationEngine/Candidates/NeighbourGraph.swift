package import RecommendationCore

/// An item that is like another one.
package struct Neighbour: Sendable, Equatable {
    package let item: Item.Number
    /// Above 0, at most 1.
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

    /// The positions of a row's edges; empty for a row that does not exist.
    @inline(__always)
    func row(_ index: Int) -> Range<Int> {
        guard index < self.rowCount else { return 0..<0 }
        return Int(self.offsets[index])..<Int(self.offsets[index + 1])
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
