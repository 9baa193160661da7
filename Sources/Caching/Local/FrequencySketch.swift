/// How often keys were asked for lately: a count-min sketch of four rows of 4-bit counters, halved after ten requests for
/// each key the shard holds, so that yesterday's favourites fade.
struct FrequencySketch {
    private static let rows = 4
    private static let smallest = 64

    /// Two counters in a byte.
    private var counters = [UInt8](repeating: 0, count: rows * smallest / 2)
    private var mask = UInt64(smallest - 1)
    private var counted = 0
    private var period = 10 * smallest

    /// Grows with the number of keys; what was counted before is forgotten then.
    mutating func fit(keys: Int) {
        let width = Int(self.mask) + 1
        guard keys > width else { return }
        self.counters = [UInt8](repeating: 0, count: Self.rows * width)
        self.mask = UInt64(2 * width - 1)
        self.counted = 0
        self.period = 20 * width
    }

    mutating func count(_ hash: Int) {
        self.counted += 1
        if self.counted >= self.period { self.age() }
        for row in 0..<Self.rows {
            let place = self.place(hash, row)
            let shift = UInt8(place & 1) * 4
            if self.counters[place >> 1] >> shift & 15 < 15 { self.counters[place >> 1] += 1 << shift }
        }
    }

    func frequency(of hash: Int) -> UInt8 {
        (0..<Self.rows).reduce(UInt8(15)) { lowest, row in
            let place = self.place(hash, row)
            return min(lowest, self.counters[place >> 1] >> (UInt8(place & 1) * 4) & 15)
        }
    }

    private mutating func age() {
        self.counted /= 2
        for place in self.counters.indices { self.counters[place] = self.counters[place] >> 1 & 0x77 }
    }

    private func place(_ hash: Int, _ row: Int) -> Int {
        // The hash is random already; an odd factor for each row makes four of it.
        let factor = 0x9E37_79B9_7F4A_7C15 &+ UInt64(row) &* 0x6A09_E667_F3BC_C908
        let mixed = (UInt64(bitPattern: Int64(hash)) &* (factor | 1)) >> 24
        return row * (Int(self.mask) + 1) + Int(mixed & self.mask)
    }
}
