import RecommendationCore

/// Items of equal category sets, and the way from a category to the groups that have it.
struct CategoryGroups: Sendable {
    let groupOfItem: [UInt32]
    /// Categories by group, ascending, renumbered from 0.
    let categories: CompressedRows
    /// Popularity ranks of items by group, ascending.
    let members: CompressedRows
    /// The groups a category leads to, those with the most popular items first.
    let found: CompressedRows
    /// Categories with more groups than they lead to.
    let isCut: [Bool]

    var count: Int { self.categories.offsets.count - 1 }

    init(_ input: FitInput, popularityOrder: [Item.Number]) {
        var groups: [ArraySlice<UInt32>: UInt32] = [:]
        var numbers: [UInt32: UInt32] = [:]
        var offsets = [0]
        var categories: [UInt32] = []
        var groupOfItem = [UInt32](repeating: ContentGraph.noGroup, count: input.itemCount)
        for item in 0..<input.itemCount {
            let set = input.categories[item]
            guard !set.isEmpty else { continue }
            if let group = groups[set] {
                groupOfItem[item] = group
                continue
            }
            groupOfItem[item] = UInt32(groups.count)
            groups[set] = UInt32(groups.count)
            for category in set {
                let number = numbers[category] ?? UInt32(numbers.count)
                numbers[category] = number
                categories.append(number)
            }
            categories[(offsets.last ?? 0)...].sort()
            offsets.append(categories.count)
        }
        self.groupOfItem = groupOfItem
        self.categories = CompressedRows(offsets: offsets, values: categories)
        self.members = Self.members(groupOfItem, groupCount: groups.count, popularityOrder: popularityOrder)

        let limit = max(input.limits.groupsPerCategory, 1)
        var found = [[UInt32]](repeating: [], count: numbers.count)
        var isCut = [Bool](repeating: false, count: numbers.count)
        var isListed = [Bool](repeating: false, count: groups.count)
        // Groups in the order of their most popular members, so that a cut keeps those.
        for item in popularityOrder {
            let group = groupOfItem[Int(item)]
            guard group != ContentGraph.noGroup, !isListed[Int(group)] else { continue }
            isListed[Int(group)] = true
            for position in self.categories[Int(group)] {
                let category = Int(categories[position])
                if found[category].count < limit { found[category].append(group) } else { isCut[category] = true }
            }
        }
        self.found = CompressedRows(found)
        self.isCut = isCut
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
