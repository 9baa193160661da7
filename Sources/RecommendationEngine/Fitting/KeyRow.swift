/// The edges of one row while they are put in order, as keys whose upper half is the order of a 16-bit float.
///
/// They are spread over buckets by that order, which is close to a logarithm and so spreads weights evenly, and then moved
/// the few places that are left: a third of the time that comparing takes for a hundred keys.
struct KeyRow {
    private static let bucketCount = 128

    var keys: [UInt64] = []
    private var spare: [UInt64] = []
    /// Where the next key of a bucket goes.
    private var places = [UInt32](repeating: 0, count: Self.bucketCount + 1)

    init() {}

    /// The largest first.
    mutating func sort() {
        let count = self.keys.count
        if count > 16 { self.spread() }
        self.keys.withUnsafeMutableBufferPointer { keys in
            var index = 1
            while index < count {
                let key = keys[index]
                var hole = index
                while hole > 0, keys[hole - 1] < key {
                    keys[hole] = keys[hole - 1]
                    hole -= 1
                }
                keys[hole] = key
                index += 1
            }
        }
    }

    private mutating func spread() {
        var (least, largest) = (UInt32.max, UInt32.min)
        for key in self.keys {
            let order = UInt32(truncatingIfNeeded: key >> 32)
            least = min(least, order)
            largest = max(largest, order)
        }
        guard least < largest else { return }
        // Orders are below 2¹⁶, so this does not overflow; it maps the largest to bucket 0, the least to the last but rounding.
        let step = (UInt32(Self.bucketCount - 1) << 16) / (largest - least)
        func bucket(_ key: UInt64) -> Int {
            Int((UInt64(largest - UInt32(truncatingIfNeeded: key >> 32)) * UInt64(step)) >> 16)
        }
        for index in self.places.indices { self.places[index] = 0 }
        for key in self.keys { self.places[bucket(key) + 1] += 1 }
        for index in 0..<Self.bucketCount { self.places[index + 1] += self.places[index] }
        self.spare.removeAll(keepingCapacity: true)
        self.spare.append(contentsOf: self.keys)
        for key in self.spare {
            let bucket = bucket(key)
            self.keys[Int(self.places[bucket])] = key
            self.places[bucket] += 1
        }
    }
}
