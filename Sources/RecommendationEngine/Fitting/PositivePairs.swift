import RecommendationCore

/// Which users took to which items: distinct pairs whose newest events sum to more than 0, both ways round.
struct PositivePairs: Sendable {
    let itemsOfUser: CompressedRows
    let usersOfItem: CompressedRows

    init(_ input: FitInput, weighed: WeighedInteractions) {
        let columns = input.interactions
        let rowsOfUser = CompressedRows.rowsOfUser(columns, weighed: weighed)
        var sums = [Float](repeating: 0, count: input.itemCount)
        var isTouched = [Bool](repeating: false, count: input.itemCount)
        var touched: [UInt32] = []
        var offsets = [0]
        var items: [UInt32] = []
        offsets.reserveCapacity(weighed.userCount + 1)
        items.reserveCapacity(columns.count)
        for user in 0..<weighed.userCount {
            let rows = Self.newest(rowsOfUser.values[rowsOfUser[user]], of: columns, limit: input.limits.history)
            for row in rows {
                let item = Int(columns.items[Int(row)])
                if !isTouched[item] {
                    isTouched[item] = true
                    touched.append(UInt32(item))
                }
                sums[item] += weighed.weights[Int(row)]
            }
            for item in touched {
                if sums[Int(item)] > 0 { items.append(item) }
                sums[Int(item)] = 0
                isTouched[Int(item)] = false
            }
            touched.removeAll(keepingCapacity: true)
            offsets.append(items.count)
        }
        self.itemsOfUser = CompressedRows(offsets: offsets, values: items)
        self.usersOfItem = self.itemsOfUser.transposed(rowCount: input.itemCount)
    }

    /// Items and users as they come, for those who have the pairs already.
    init(itemsOfUser: CompressedRows, itemCount: Int) {
        self.itemsOfUser = itemsOfUser
        self.usersOfItem = itemsOfUser.transposed(rowCount: itemCount)
    }

    var itemCount: Int { self.usersOfItem.offsets.count - 1 }
    /// Users by item.
    var itemDegrees: [Float] { self.usersOfItem.lengths }
    /// Items by user.
    var userDegrees: [Float] { self.itemsOfUser.lengths }
    /// What a row of the product of the pairs with themselves costs: the sum over an item's users of their items.
    var costs: [Int] {
        (0..<self.itemCount).map { item in
            self.usersOfItem[item].reduce(0) { cost, position in
                cost + self.itemsOfUser[Int(self.usersOfItem.values[position])].count
            }
        }
    }

    /// The newest rows, in no order; of rows of one second those of lower item numbers. Takes memory for a few times the limit,
    /// however many rows there are.
    private static func newest(
        _ rows: ArraySlice<UInt32>,
        of columns: InteractionColumns,
        limit: Int
    ) -> ArraySlice<UInt32> {
        guard rows.count > limit else { return rows }
        let limit = max(limit, 0)
        guard limit > 0 else { return [] }
        func isNewer(_ lhs: UInt32, _ rhs: UInt32) -> Bool {
            let (left, right) = (columns.seconds[Int(lhs)], columns.seconds[Int(rhs)])
            if left != right { return left > right }
            let (leftItem, rightItem) = (columns.items[Int(lhs)], columns.items[Int(rhs)])
            return leftItem != rightItem ? leftItem < rightItem : lhs < rhs
        }
        var kept: [UInt32] = []
        kept.reserveCapacity(4 * limit)
        var oldest: UInt32?
        for row in rows {
            if let oldest, isNewer(oldest, row) { continue }
            kept.append(row)
            guard kept.count == 4 * limit else { continue }
            kept.sort(by: isNewer)
            kept.removeSubrange(limit...)
            oldest = kept.last
        }
        kept.sort(by: isNewer)
        return kept.prefix(limit)
    }
}

extension CompressedRows {
    /// The positions in the columns of each user's events, those that count nothing left out.
    fileprivate static func rowsOfUser(_ columns: InteractionColumns, weighed: WeighedInteractions) -> Self {
        var offsets = [Int](repeating: 0, count: weighed.userCount + 1)
        for row in 0..<columns.count where weighed.weights[row] != 0 { offsets[Int(columns.users[row]) + 1] += 1 }
        for user in 0..<weighed.userCount { offsets[user + 1] += offsets[user] }
        var next = offsets
        var values = [UInt32](repeating: 0, count: offsets[weighed.userCount])
        for row in 0..<columns.count where weighed.weights[row] != 0 {
            let user = Int(columns.users[row])
            values[next[user]] = UInt32(row)
            next[user] += 1
        }
        return Self(offsets: offsets, values: values)
    }
}
