import RecommendationCore

/// Content neighbours: items are grouped by equal category sets, and groups are compared by Jaccard similarity through an
/// inverted index from a category to the groups that have it, never all pairs.
///
/// A category that very many groups have would still make the work quadratic, and says little. It leads to the first
/// ``FitInput/Limits/groupsPerCategory`` of them only, those with the most popular items. What is bounded is which groups
/// are *found*: a group found by any of its categories is compared exactly. So the work is at most that limit times the
/// number of categories over all groups. A group that fills its list by itself is compared with none.
enum ContentFit {
    static func graph(_ input: FitInput, popularityOrder: [Item.Number], threads: Int) -> ContentGraph {
        let groups = CategoryGroups(input, popularityOrder: popularityOrder)
        let listLength = ContentGraph.neighbourLimit + 1
        let costs = (0..<groups.count).map { group in
            groups.members[group].count >= listLength
                ? 1
                : groups.categories[group].reduce(1) { cost, position in
                    cost + groups.found[Int(groups.categories.values[position])].count
                }
        }
        let lists = RowFit.graph(costs: costs, threads: threads) {
            Worker(groups: groups, popularityOrder: popularityOrder, listLength: listLength)
        }
        return ContentGraph(groupOfItem: groups.groupOfItem, lists: lists)
    }

    private struct Worker: RowWorker {
        let groups: CategoryGroups
        let popularityOrder: [Item.Number]
        let listLength: Int
        var shared: [UInt32]
        var touched: [UInt32] = []
        var top = TopKeys()

        init(groups: CategoryGroups, popularityOrder: [Item.Number], listLength: Int) {
            self.groups = groups
            self.popularityOrder = popularityOrder
            self.listLength = listLength
            self.shared = [UInt32](repeating: 0, count: groups.count)
        }

        mutating func append(row group: Int, to buffer: inout RowBuffer) {
            self.top.reset(capacity: self.listLength)
            Self.insert(group, similarity: 1, of: self.groups.members, into: &self.top)
            if !self.top.isFull {
                let isExact = Self.count(group, self.groups, shared: &self.shared, touched: &self.touched)
                Self.insert(self.touched, group, isExact, self.groups, shared: &self.shared, into: &self.top)
                self.touched.removeAll(keepingCapacity: true)
            }
            self.top.sortDescending()
            for key in self.top.keys {
                buffer.append(id: self.popularityOrder[Int(RankKey.number(key))], weight: RankKey.score(key))
            }
        }

        /// Counts the categories a group shares with each group found; false where a cut may have hidden some.
        private static func count(
            _ group: Int,
            _ groups: CategoryGroups,
            shared: inout [UInt32],
            touched: inout [UInt32]
        ) -> Bool {
            var isExact = true
            for position in groups.categories[group] {
                let category = Int(groups.categories.values[position])
                isExact = isExact && !groups.isCut[category]
                for foundPosition in groups.found[category] {
                    let other = groups.found.values[foundPosition]
                    if shared[Int(other)] == 0 { touched.append(other) }
                    shared[Int(other)] += 1
                }
            }
            return isExact
        }

        private static func insert(
            _ touched: [UInt32],
            _ group: Int,
            _ isExact: Bool,
            _ groups: CategoryGroups,
            shared: inout [UInt32],
            into top: inout TopKeys
        ) {
            let size = groups.categories[group].count
            for other in touched {
                let other = Int(other)
                let count = isExact ? Int(shared[other]) : groups.categories.sharedCount(group, other)
                shared[other] = 0
                guard other != group else { continue }
                let union = size + groups.categories[other].count - count
                Self.insert(other, similarity: Float(count) / Float(union), of: groups.members, into: &top)
            }
        }

        /// Members come most popular first, so the first one that does not make it ends the group.
        private static func insert(
            _ group: Int,
            similarity: Float,
            of members: CompressedRows,
            into top: inout TopKeys
        ) {
            for position in members[group] {
                guard top.insert(RankKey.make(similarity, members.values[position])) else { return }
            }
        }
    }
}
