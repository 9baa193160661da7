package import RecommendationCore

/// Items with like categories.
///
/// Items of equal category sets have the same neighbours but for themselves, so lists are kept per set: one more item than
/// ``neighbourLimit``, from which each member leaves itself out.
package struct ContentGraph: Sendable, Equatable {
    /// Neighbours of one item.
    package static let neighbourLimit = 50
    /// ``groupOfItem`` of an item without categories.
    static let noGroup = UInt32.max

    let groupOfItem: [UInt32]
    /// A row a group: Jaccard similarity of category sets, ties by popularity, then by number.
    let lists: NeighbourGraph
    /// Where an item stands in the list of its own group, 255 where it does not; derived from the rest.
    private let ownPositions: [UInt8]

    package var groupCount: Int { self.lists.rowCount }
    package var edgeCount: Int { self.lists.edgeCount }

    /// Takes groups below the number of lists and items below the number of groups.
    init(groupOfItem: [UInt32], lists: NeighbourGraph) {
        self.groupOfItem = groupOfItem
        self.lists = lists
        var ownPositions = [UInt8](repeating: .max, count: groupOfItem.count)
        for group in 0..<lists.rowCount {
            for (position, edge) in lists.row(group).prefix(Int(UInt8.max)).enumerated() {
                let item = Int(lists.ids[edge])
                if groupOfItem[item] == group { ownPositions[item] = UInt8(position) }
            }
        }
        self.ownPositions = ownPositions
    }

    /// The edges of an item: those before itself in the list of its group, and those after.
    @inline(__always)
    func rows(of item: Item.Number) -> (Range<Int>, Range<Int>) {
        let group = self.groupOfItem[Int(item)]
        guard group != Self.noGroup else { return (0..<0, 0..<0) }
        let row = self.lists.row(Int(group))
        let own = self.ownPositions[Int(item)]
        guard own != .max else {
            return (row.lowerBound..<min(row.upperBound, row.lowerBound + Self.neighbourLimit), 0..<0)
        }
        let position = row.lowerBound + Int(own)
        return (row.lowerBound..<position, position + 1..<row.upperBound)
    }

    /// How like an item another has to be to be among its neighbours; 0 where there is room for any.
    func leastSimilarity(of item: Item.Number) -> Float {
        guard Int(item) < self.groupOfItem.count, self.groupOfItem[Int(item)] != Self.noGroup else { return 0 }
        let row = self.lists.row(Int(self.groupOfItem[Int(item)]))
        return row.count > Self.neighbourLimit ? HalfFloat.decode(self.lists.weights[row.upperBound - 1]) : 0
    }

    /// The items most like an item, the closest first, itself left out.
    package func neighbours(of item: Item.Number) -> [Neighbour] {
        guard Int(item) < self.groupOfItem.count else { return [] }
        let (before, after) = self.rows(of: item)
        return self.lists.neighbours(in: before) + self.lists.neighbours(in: after)
    }
}
