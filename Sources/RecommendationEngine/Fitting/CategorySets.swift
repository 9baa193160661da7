/// The categories of each item in compressed form, as indices the caller hands out; a row an item number.
package struct CategorySets: Sendable {
    private var offsets = [0]
    private var indices: [UInt32] = []

    package init() {}

    package init(_ rows: some Sequence<[UInt32]>) {
        for row in rows { self.append(row) }
    }

    /// Rows so far: the item number that is appended next.
    package var count: Int { self.offsets.count - 1 }

    /// Adds the next item's categories, in any order; repeated ones count once.
    package mutating func append(_ categories: [UInt32]) {
        let start = self.indices.count
        self.indices.append(contentsOf: categories)
        if categories.count > 1 {
            self.indices[start...].sort()
            var end = start + 1
            for position in start + 1..<self.indices.count where self.indices[position] != self.indices[end - 1] {
                self.indices[end] = self.indices[position]
                end += 1
            }
            self.indices.removeSubrange(end...)
        }
        self.offsets.append(self.indices.count)
    }

    /// The categories of an item, ascending; none for an item without a row.
    subscript(item: Int) -> ArraySlice<UInt32> {
        guard item < self.count else { return [] }
        return self.indices[self.offsets[item]..<self.offsets[item + 1]]
    }
}
