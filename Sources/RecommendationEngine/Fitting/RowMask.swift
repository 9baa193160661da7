/// Some of the rows of ``InteractionColumns``, a bit each.
package struct RowMask: Sendable {
    private var words: [UInt64] = []

    package init() {}

    /// Makes room for rows below a count.
    package init(count: Int) {
        self.words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    /// Takes a row in, which must be below the count.
    package mutating func insert(_ row: Int) { self.words[row >> 6] |= 1 << UInt64(row & 63) }

    @inline(__always)
    package func contains(_ row: Int) -> Bool {
        let word = row >> 6
        return word < self.words.count && self.words[word] >> UInt64(row & 63) & 1 != 0
    }
}
