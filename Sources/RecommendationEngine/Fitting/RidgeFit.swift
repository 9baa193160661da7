import RecommendationCore

/// EASEᴿ: the items-by-items matrix that reproduces the histories best, in the least squares with a ridge, without an item
/// saying anything of itself. With P the inverse of XᵀX + λI it is −Pᵢⱼ / Pⱼⱼ off the diagonal; of each row the largest by
/// magnitude are kept, with their signs.
///
/// Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019. The inverse is made from a Cholesky factor by
/// tiles, in 32-bit floats, in memory for two triangles (400 MB for 10,000 items), by work that grows with the cube of the
/// items. Every tile is computed by one thread in one order, so the result is the same however many there are.
enum RidgeFit {
    /// Items with users that a regression takes.
    static let maximumItemCount = 10_000

    static func graph(
        _ pairs: PositivePairs,
        lambda: Double,
        neighbours: Int,
        threads: Int
    ) throws(FitError) -> NeighbourGraph {
        guard lambda > 0, lambda.isFinite else { throw .ridgeNotPositive }
        let items = (0..<pairs.itemCount).filter { !pairs.usersOfItem[$0].isEmpty }
        guard items.count <= Self.maximumItemCount else {
            throw .tooManyItems(items.count, recipe: Recipe.ease(lambda: lambda).name, maximum: Self.maximumItemCount)
        }
        let ridge = min(max(Float(lambda), 0.001), 1e9)
        let matrix = Self.gram(pairs, items, ridge: ridge, threads: threads)
        let factor = InverseFactor(matrix, floor: ridge / 2, threads: threads)
        return Self.graph(factor, items, itemCount: pairs.itemCount, neighbours: neighbours, threads: threads)
    }

    /// How many users two items share, plus the ridge on the diagonal; what is beyond the last item has the ridge alone.
    private static func gram(_ pairs: PositivePairs, _ items: [Int], ridge: Float, threads: Int) -> UpperTiles {
        let side = UpperTiles.side
        let tiles = UpperTiles(count: (items.count + side - 1) / side)
        let places = items.enumerated().reduce(into: [Int](repeating: 0, count: pairs.itemCount)) {
            $0[$1.element] = $1.offset
        }
        Dealer.deal(tiles.count, threads: threads) { block in
            for place in block * side..<(block + 1) * side {
                if place < items.count {
                    for userPosition in pairs.usersOfItem[items[place]] {
                        for position in pairs.itemsOfUser[Int(pairs.usersOfItem.values[userPosition])] {
                            let other = places[Int(pairs.itemsOfUser.values[position])]
                            guard other >= block * side else { continue }
                            tiles[block, other / side][place % side * side + other % side] += 1
                        }
                    }
                }
                tiles[block, block][place % side * (side + 1)] += ridge
            }
        }
        return tiles
    }

    private static func graph(
        _ factor: InverseFactor,
        _ items: [Int],
        itemCount: Int,
        neighbours: Int,
        threads: Int
    ) -> NeighbourGraph {
        let side = UpperTiles.side
        let kept = min(neighbours, max(items.count - 1, 0))
        let counts = items.reduce(into: [UInt32](repeating: 0, count: itemCount)) { $0[$1] = UInt32(kept) }
        let starts = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int($1)) }
        let scales = factor.diagonal.map { -1 / $0 }
        var ids = [Item.Number](repeating: 0, count: starts[itemCount])
        var weights = [Float](repeating: 0, count: starts[itemCount])
        ids.withPlaces { ids in
            weights.withPlaces { weights in
                Dealer.deal(
                    factor.count,
                    threads: threads,
                    state: { RidgeRows(strip: [Float](repeating: 0, count: factor.count * UpperTiles.tileCount)) },
                    body: { state, block in
                        factor.inverse(row: block, into: &state.strip)
                        for place in block * side..<min((block + 1) * side, items.count) {
                            state.choose(place, of: items.count, scales: scales, keeping: kept)
                            var target = starts[items[place]]
                            for key in state.top.keys {
                                let other = Int(RankKey.number(key))
                                ids[target] = Item.Number(items[other])
                                weights[target] = state.weight(place, other, scales)
                                target += 1
                            }
                        }
                    }
                )
            }
        }
        let chosen = ChosenNeighbours(starts: starts, counts: counts, ids: ids, shared: [])
        return NeighbourGraph(chosen, weights: weights, threads: threads)
    }
}

/// Scratch for a row of tiles of a regression.
private struct RidgeRows {
    /// The tiles of the inverse, one after the other.
    var strip: [Float]
    private(set) var top = TopKeys()

    init(strip: [Float]) { self.strip = strip }

    func weight(_ place: Int, _ other: Int, _ scales: [Float]) -> Float {
        let side = UpperTiles.side
        let line = other / side * UpperTiles.tileCount + place % side * side
        return self.strip[line + other % side] * scales[other]
    }

    /// Keeps the largest by magnitude.
    mutating func choose(_ place: Int, of count: Int, scales: [Float], keeping kept: Int) {
        self.top.reset(capacity: kept)
        for other in 0..<count where other != place {
            let magnitude = self.weight(place, other, scales).magnitude
            if magnitude >= self.top.leastScore { self.top.insert(RankKey.make(magnitude, UInt32(other))) }
        }
    }
}

/// The inverse of the upper Cholesky factor of a positive matrix, from which rows of the matrix's inverse are made.
struct InverseFactor: Sendable {
    /// v, with the matrix's inverse = v · vᵀ.
    private let tiles: UpperTiles
    /// The same with each tile transposed.
    private let transposed: UpperTiles
    /// The diagonal of the matrix's inverse.
    let diagonal: [Float]

    /// Tiles along a side.
    var count: Int { self.tiles.count }

    /// Takes the matrix's memory over.
    ///
    /// - Parameter floor: A bound that no pivot can be below but by rounding.
    init(_ matrix: UpperTiles, floor: Float, threads: Int) {
        let count = matrix.count
        let inverse = UpperTiles(count: count)
        // The upper factor u, uᵀu = matrix, a row of tiles after the other.
        for row in 0..<count {
            Dealer.deal(count - row, threads: threads) { offset in
                let target = matrix[row, row + offset]
                for step in 0..<row {
                    Tile.multiply(
                        matrix[step, row],
                        transposed: true,
                        matrix[step, row + offset],
                        sign: -1,
                        into: target
                    )
                }
            }
            Tile.factorize(matrix[row, row], floor: floor)
            Tile.invert(matrix[row, row], into: inverse[row, row])
            Dealer.deal(count - row - 1, threads: threads, state: TileScratch.init) { scratch, offset in
                let target = matrix[row, row + 1 + offset]
                scratch.values.withUnsafeMutableBufferPointer { scratch in
                    guard let copy = scratch.baseAddress else { return }
                    copy.update(from: target, count: UpperTiles.tileCount)
                    Tile.clear(target)
                    Tile.multiply(inverse[row, row], transposed: true, copy, sign: 1, into: target)
                }
            }
        }
        // Its inverse, a column of tiles after the other, from the diagonal up; the longest first.
        Dealer.deal(count, threads: threads, state: TileScratch.init) { scratch, offset in
            let column = count - 1 - offset
            scratch.values.withUnsafeMutableBufferPointer { scratch in
                guard let sum = scratch.baseAddress else { return }
                for row in stride(from: column - 1, through: 0, by: -1) {
                    Tile.clear(sum)
                    for step in row + 1...column {
                        Tile.multiply(matrix[row, step], inverse[step, column], sign: -1, into: sum)
                    }
                    Tile.multiply(inverse[row, row], sum, sign: 1, into: inverse[row, column])
                }
            }
        }
        Dealer.deal(count, threads: threads) { column in
            for row in 0...column { Tile.transpose(inverse[row, column], into: matrix[row, column]) }
        }
        self.tiles = inverse
        self.transposed = matrix
        let side = UpperTiles.side
        self.diagonal = (0..<count * side).map { place in
            var sum: Float = 0
            for column in place / side..<count {
                let line = inverse[place / side, column] + place % side * side
                for step in 0..<side { sum += line[step] * line[step] }
            }
            return sum
        }
    }

    /// A row of tiles of the matrix's inverse, one tile after the other.
    func inverse(row: Int, into strip: inout [Float]) {
        strip.withUnsafeMutableBufferPointer { strip in
            guard let start = strip.baseAddress else { return }
            for column in 0..<self.count {
                let target = start + column * UpperTiles.tileCount
                Tile.clear(target)
                for step in max(row, column)..<self.count {
                    Tile.multiply(self.tiles[row, step], self.transposed[column, step], sign: 1, into: target)
                }
            }
        }
    }
}

/// A tile of one thread. Vectors are loaded whole, so that tiles begin at a multiple of 16 bytes, as the elements of an array do.
private struct TileScratch {
    var values = [Float](repeating: 0, count: UpperTiles.tileCount)
}
