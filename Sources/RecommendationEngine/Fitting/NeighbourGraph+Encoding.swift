import RecommendationCore

extension NeighbourGraph {
    /// Weights of chosen neighbours as half floats, within a row the heaviest first, ties by number.
    ///
    /// Where the largest weight is above 1, or the smallest below what half floats hold in full, all of them are multiplied by
    /// one power of two, with the largest close below the largest half float: no ranking and no quotient changes.
    init(_ chosen: ChosenNeighbours, weights: [Float], sorts: Bool = true, threads: Int) {
        let rowCount = chosen.rowCount
        var offsets = [UInt32](repeating: 0, count: rowCount + 1)
        for row in 0..<rowCount { offsets[row + 1] = offsets[row] + chosen.counts[row] }
        let scale = Self.scale(chosen, weights, threads: threads)
        let rowStarts = offsets
        let edges = Int(offsets[rowCount])
        var ids = [Item.Number](repeating: 0, count: edges)
        var halves = [UInt16](repeating: 0, count: edges)
        ids.withPlaces { ids in
            halves.withPlaces { halves in
                Dealer.deal(rowCount, atOnce: 256, threads: threads, state: KeyRow.init) { state, row in
                    state.keys.removeAll(keepingCapacity: true)
                    for position in chosen.row(row) {
                        let half = HalfFloat.encode(weights[position] * scale)
                        state.keys.append(UInt64(HalfFloat.order(half)) << 32 | UInt64(~chosen.ids[position]))
                    }
                    if sorts { state.sort() }
                    var place = Int(rowStarts[row])
                    for key in state.keys {
                        ids[place] = RankKey.number(key)
                        halves[place] = HalfFloat.pattern(order: UInt16(truncatingIfNeeded: key >> 32))
                        place += 1
                    }
                }
            }
        }
        self.init(offsets: offsets, ids: ids, weights: halves)
    }

    private static func scale(_ chosen: ChosenNeighbours, _ weights: [Float], threads: Int) -> Float {
        let parts = min(chosen.rowCount, 64)
        var extremes = [(least: Float, largest: Float)](repeating: (.infinity, 0), count: parts)
        extremes.withPlaces { extremes in
            Dealer.deal(parts, threads: threads) { part in
                var (least, largest) = (Float.infinity, Float(0))
                for row in part * chosen.rowCount / parts..<(part + 1) * chosen.rowCount / parts {
                    for position in chosen.row(row) {
                        let magnitude = weights[position].magnitude
                        guard magnitude > 0, magnitude < .infinity else { continue }
                        least = min(least, magnitude)
                        largest = max(largest, magnitude)
                    }
                }
                extremes[part] = (least, largest)
            }
        }
        let least = extremes.reduce(.infinity) { min($0, $1.least) }
        let largest = extremes.reduce(0) { max($0, $1.largest) }
        guard largest > 1 || least < HalfFloat.smallestNormal, largest > 0 else { return 1 }
        return Float(sign: .plus, exponent: min(14 - Int(largest.exponent), 120), significand: 1)
    }
}
