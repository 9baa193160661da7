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
            groups.members(group).count >= listLength
                ? 1 : groups.categories(group).reduce(1) { $0 + groups.found(by: $1).count }
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
            self.insert(group, similarity: 1)
            if !self.top.isFull { self.insertOthers(than: group) }
            self.top.sortDescending()
            for key in self.top.keys {
                buffer.append(id: self.popularityOrder[Int(RankKey.number(key))], weight: RankKey.score(key))
            }
        }

        private mutating func insertOthers(than group: Int) {
            let categories = self.groups.categories(group)
            var isExact = true
            for category in categories {
                isExact = isExact && !self.groups.isCut(category)
                for other in self.groups.found(by: category) {
                    if self.shared[Int(other)] == 0 { self.touched.append(other) }
                    self.shared[Int(other)] += 1
                }
            }
            for other in self.touched {
                let others = self.groups.categories(Int(other))
                let shared =
                    isExact ? Int(self.shared[Int(other)]) : CategoryGroups.sharedCount(categories, others)
                self.shared[Int(other)] = 0
                guard Int(other) != group else { continue }
                self.insert(Int(other), similarity: Float(shared) / Float(categories.count + others.count - shared))
            }
            self.touched.removeAll(keepingCapacity: true)
        }

        /// Members come most popular first, so the first one that does not make it ends the group.
        private mutating func insert(_ group: Int, similarity: Float) {
            for rank in self.groups.members(group) {
                guard self.top.insert(RankKey.make(similarity, rank)) else { return }
            }
        }
    }
}
