/// Rows of numbers, one after another.
struct CompressedRows: Sendable {
    /// Where a row begins; one more than there are rows.
    let offsets: [Int]
    let values: [UInt32]

    /// The positions of a row's values.
    @inline(__always)
    subscript(row: Int) -> Range<Int> { self.offsets[row]..<self.offsets[row + 1] }

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
