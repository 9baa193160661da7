/// Rows of numbers, one after another.
struct CompressedRows: Sendable {
    /// Where a row begins; one more than there are rows.
    let offsets: [Int]
    let values: [UInt32]

    init(offsets: [Int], values: [UInt32]) {
        self.offsets = offsets
        self.values = values
    }

    init(_ rows: [[UInt32]]) {
        self.offsets = rows.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
        self.values = Array(rows.joined())
    }

    /// The positions of a row's values.
    @inline(__always)
    subscript(row: Int) -> Range<Int> { self.offsets[row]..<self.offsets[row + 1] }

    /// How many values each row has.
    var lengths: [Float] { (0..<self.offsets.count - 1).map { Float(self[$0].count) } }

    /// How many values two rows share whose values ascend.
    func sharedCount(_ lhs: Int, _ rhs: Int) -> Int {
        var (left, right) = (self[lhs].lowerBound, self[rhs].lowerBound)
        let (leftEnd, rightEnd) = (self[lhs].upperBound, self[rhs].upperBound)
        var shared = 0
        while left < leftEnd, right < rightEnd {
            let (leftValue, rightValue) = (self.values[left], self.values[right])
            shared += leftValue == rightValue ? 1 : 0
            left += leftValue <= rightValue ? 1 : 0
            right += rightValue <= leftValue ? 1 : 0
        }
        return shared
    }

    /// The same pairs with rows and values swapped; values ascend within a row.
    func transposed(rowCount: Int) -> CompressedRows {
        var offsets = [Int](repeating: 0, count: rowCount + 1)
        for value in self.values { offsets[Int(value) + 1] += 1 }
        for row in 0..<rowCount { offsets[row + 1] += offsets[row] }
        var next = offsets
        var transposed = [UInt32](repeating: 0, count: self.values.count)
        for row in 0..<self.offsets.count - 1 {
            for position in self[row] {
                let value = Int(self.values[position])
                transposed[next[value]] = UInt32(row)
                next[value] += 1
            }
        }
        return CompressedRows(offsets: offsets, values: transposed)
    }
}
