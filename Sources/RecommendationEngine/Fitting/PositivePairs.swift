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

    /// The newest rows; of rows of one second those of lower item numbers.
    private static func newest(
        _ rows: ArraySlice<UInt32>,
        of columns: InteractionColumns,
        limit: Int
    ) -> ArraySlice<UInt32> {
        guard rows.count > limit else { return rows }
        let sorted = rows.sorted { lhs, rhs in
            let (left, right) = (columns.seconds[Int(lhs)], columns.seconds[Int(rhs)])
            if left != right { return left > right }
            let (leftItem, rightItem) = (columns.items[Int(lhs)], columns.items[Int(rhs)])
            return leftItem != rightItem ? leftItem < rightItem : lhs < rhs
        }
        return sorted.prefix(max(limit, 0))
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
