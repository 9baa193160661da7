import RecommendationCore

/// Item-item cosine: of the users of two items, how many are users of both, over the geometric mean.
///
/// A sparse product of the pairs with themselves, a row at a time: from an item to its users to their items, counted in a
/// dense array per worker that stays in the second-level cache. The work is the sum over users of the square of their items,
/// which is why histories are capped. Within a row the degree of the item itself is the same everywhere, so rows are
/// ranked by count² / degree: a quotient of integers, in which ties are exact and go by number.
enum CollaborativeFit {
    static func graph(_ pairs: PositivePairs, neighbours: Int, threads: Int) -> NeighbourGraph {
        let itemCount = pairs.usersOfItem.offsets.count - 1
        let degrees = (0..<itemCount).map { Float(pairs.usersOfItem[$0].count) }
        let costs = (0..<itemCount).map { item in
            pairs.usersOfItem[item].reduce(0) { cost, position in
                cost + pairs.itemsOfUser[Int(pairs.usersOfItem.values[position])].count
            }
        }
        return RowFit.graph(costs: costs, threads: threads) {
            Worker(pairs: pairs, degrees: degrees, neighbours: neighbours)
        }
    }

    private struct Worker: RowWorker {
        let pairs: PositivePairs
        let degrees: [Float]
        let neighbours: Int
        var counts: [Float]
        var touched: [UInt32]
        var top = TopKeys()

        init(pairs: PositivePairs, degrees: [Float], neighbours: Int) {
            self.pairs = pairs
            self.degrees = degrees
            self.neighbours = neighbours
            self.counts = [Float](repeating: 0, count: degrees.count)
            // One more, because a position is written before it is known whether it counts.
            self.touched = [UInt32](repeating: 0, count: degrees.count + 1)
        }

        mutating func append(row: Int, to buffer: inout RowBuffer) {
            let touchedCount = Self.count(row, self.pairs, counts: &self.counts, touched: &self.touched)
            self.top.reset(capacity: self.neighbours)
            Self.rank(
                self.touched,
                first: touchedCount,
                except: row,
                degrees: self.degrees,
                counts: &self.counts,
                into: &self.top
            )
            self.top.sortDescending()
            for key in self.top.keys {
                let weight = (RankKey.score(key) / self.degrees[row]).squareRoot()
                buffer.append(id: RankKey.number(key), weight: weight)
            }
        }

        // Items and users are numbers the pairs were made of, below the length of every array here.

        private static func count(
            _ row: Int,
            _ pairs: PositivePairs,
            counts: inout [Float],
            touched: inout [UInt32]
        ) -> Int {
            var touchedCount = 0
            var counts = counts.mutableSpan
            var touched = touched.mutableSpan
            let users = pairs.usersOfItem.values.span
            let items = pairs.itemsOfUser.values.span
            for userPosition in pairs.usersOfItem[row] {
                for position in pairs.itemsOfUser[Int(users[userPosition])] {
                    let item = items[unchecked: position]
                    let count = counts[unchecked: Int(item)]
                    touched[unchecked: touchedCount] = item
                    touchedCount += count == 0 ? 1 : 0
                    counts[unchecked: Int(item)] = count + 1
                }
            }
            return touchedCount
        }

        private static func rank(
            _ touched: [UInt32],
            first touchedCount: Int,
            except row: Int,
            degrees: [Float],
            counts: inout [Float],
            into top: inout TopKeys
        ) {
            var counts = counts.mutableSpan
            let touched = touched.span
            let degrees = degrees.span
            for position in 0..<touchedCount {
                let item = touched[unchecked: position]
                let count = counts[unchecked: Int(item)]
                counts[unchecked: Int(item)] = 0
                guard Int(item) != row else { continue }
                top.insert(RankKey.make(count * count / degrees[unchecked: Int(item)], item))
            }
        }
    }
}
