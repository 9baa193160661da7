import RecommendationCore

/// Items of equal category sets, and the way from a category to the groups that have it.
struct CategoryGroups: Sendable {
    let groupOfItem: [UInt32]
    private let sets: [ArraySlice<UInt32>]
    private let membersByGroup: CompressedRows
    private let groupsByCategory: [UInt32: [UInt32]]
    private let groupsPerCategory: Int

    var count: Int { self.sets.count }

    init(_ input: FitInput, popularityOrder: [Item.Number]) {
        var groups: [ArraySlice<UInt32>: UInt32] = [:]
        var sets: [ArraySlice<UInt32>] = []
        var groupOfItem = [UInt32](repeating: ContentGraph.noGroup, count: input.itemCount)
        for item in 0..<input.itemCount {
            let set = input.categories[item]
            guard !set.isEmpty else { continue }
            if let group = groups[set] {
                groupOfItem[item] = group
            } else {
                groupOfItem[item] = UInt32(sets.count)
                groups[set] = UInt32(sets.count)
                sets.append(set)
            }
        }
        self.groupOfItem = groupOfItem
        self.sets = sets
        self.membersByGroup = Self.members(groupOfItem, groupCount: sets.count, popularityOrder: popularityOrder)
        self.groupsPerCategory = max(input.limits.groupsPerCategory, 1)

        var groupsByCategory: [UInt32: [UInt32]] = [:]
        // Groups in the order of their most popular members, so that a cut keeps those.
        var isListed = [Bool](repeating: false, count: sets.count)
        for item in popularityOrder {
            let group = groupOfItem[Int(item)]
            guard group != ContentGraph.noGroup, !isListed[Int(group)] else { continue }
            isListed[Int(group)] = true
            for category in sets[Int(group)] { groupsByCategory[category, default: []].append(group) }
        }
        self.groupsByCategory = groupsByCategory
    }

    /// The categories of a group, ascending.
    func categories(_ group: Int) -> ArraySlice<UInt32> { self.sets[group] }

    /// The popularity ranks of a group's items, ascending.
    func members(_ group: Int) -> ArraySlice<UInt32> { self.membersByGroup.values[self.membersByGroup[group]] }

    /// The groups a category leads to.
    func found(by category: UInt32) -> ArraySlice<UInt32> {
        (self.groupsByCategory[category] ?? []).prefix(self.groupsPerCategory)
    }

    /// Whether a category has more groups than it leads to.
    func isCut(_ category: UInt32) -> Bool {
        (self.groupsByCategory[category]?.count ?? 0) > self.groupsPerCategory
    }

    /// How many values two ascending sets share.
    static func sharedCount(_ lhs: ArraySlice<UInt32>, _ rhs: ArraySlice<UInt32>) -> Int {
        var (left, right, shared) = (lhs.startIndex, rhs.startIndex, 0)
        while left < lhs.endIndex, right < rhs.endIndex {
            if lhs[left] == rhs[right] {
                shared += 1
                left += 1
                right += 1
            } else if lhs[left] < rhs[right] {
                left += 1
            } else {
                right += 1
            }
        }
        return shared
    }

    private static func members(
        _ groupOfItem: [UInt32],
        groupCount: Int,
        popularityOrder: [Item.Number]
    ) -> CompressedRows {
        var offsets = [Int](repeating: 0, count: groupCount + 1)
        for group in groupOfItem where group != ContentGraph.noGroup { offsets[Int(group) + 1] += 1 }
        for group in 0..<groupCount { offsets[group + 1] += offsets[group] }
        var next = offsets
        var ranks = [UInt32](repeating: 0, count: offsets[groupCount])
        for (rank, item) in popularityOrder.enumerated() {
            let group = groupOfItem[Int(item)]
            guard group != ContentGraph.noGroup else { continue }
            ranks[next[Int(group)]] = UInt32(rank)
            next[Int(group)] += 1
        }
        return CompressedRows(offsets: offsets, values: ranks)
    }
}
