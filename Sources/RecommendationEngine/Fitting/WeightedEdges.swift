import Glibc
import RecommendationCore

/// Chosen neighbours on their way to weights: the second step of a ``ProductPlan``. Plans that differ only in the powers of the
/// neighbour and of the sums start from the same edges.
struct WeightedEdges: Sendable {
    private static let rowsAtOnce = 256
    private static let sumParts = 4

    private let chosen: ChosenNeighbours
    /// sharedᵖ times the item's own factor.
    private let values: [Float]

    init(_ chosen: ChosenNeighbours, base: ProductPlan.Base, degrees: [Float], threads: Int) {
        let items = base.item.table(degrees)
        let power = Float(base.power)
        var values = [Float](repeating: 0, count: chosen.shared.count)
        values.withPlaces { values in
            Self.deal(rows: chosen.rowCount, threads: threads) { rows in
                for row in rows {
                    let item = items[row]
                    for position in chosen.row(row) {
                        let shared = chosen.shared[position]
                        values[position] = (power == 1 ? shared : powf(shared, power)) * item
                    }
                }
            }
        }
        self.chosen = chosen
        self.values = values
    }

    /// The graph of a plan that these edges belong to.
    ///
    /// - Parameter sorts: Whether rows are put in order, which sums over them do not need.
    func graph(_ plan: ProductPlan, degrees: [Float], sorts: Bool = true, threads: Int) -> NeighbourGraph {
        var weights = self.values
        let chosen = self.chosen
        let neighbours = plan.neighbour.table(degrees)
        let exponent = Float(-plan.rowSum)
        weights.withPlaces { weights in
            Self.deal(rows: chosen.rowCount, threads: threads) { rows in
                for row in rows {
                    var sum: Float = 0
                    for position in chosen.row(row) {
                        weights[position] *= neighbours[Int(chosen.ids[position])]
                        sum += weights[position]
                    }
                    guard exponent != 0, sum > 0 else { continue }
                    let factor = powf(sum, exponent)
                    for position in chosen.row(row) { weights[position] *= factor }
                }
            }
        }
        if plan.columnSum != 0 {
            let factors = self.columnFactors(weights, exponent: -plan.columnSum, threads: threads)
            weights.withPlaces { weights in
                Self.deal(rows: chosen.rowCount, threads: threads) { rows in
                    for row in rows {
                        for position in chosen.row(row) { weights[position] *= factors[Int(chosen.ids[position])] }
                    }
                }
            }
        }
        return NeighbourGraph(chosen, weights: weights, sorts: sorts, threads: threads)
    }

    /// Summed in a few parts of the rows, the same whatever the number of threads, and then the parts in order.
    private func columnFactors(_ weights: [Float], exponent: Double, threads: Int) -> [Float] {
        let (chosen, count) = (self.chosen, self.chosen.rowCount)
        var sums = [[Float]](repeating: [], count: Self.sumParts)
        sums.withPlaces { sums in
            Dealer.deal(Self.sumParts, threads: threads) { part in
                var sum = [Float](repeating: 0, count: count)
                for row in part * count / Self.sumParts..<(part + 1) * count / Self.sumParts {
                    for position in chosen.row(row) { sum[Int(chosen.ids[position])] += weights[position] }
                }
                sums[part] = sum
            }
        }
        return (0..<count).map { item in
            let sum = sums.reduce(0) { $0 + $1[item] }
            return sum > 0 ? Float(pow(Double(sum), exponent)) : 0
        }
    }

    private static func deal(rows: Int, threads: Int, _ body: @Sendable (Range<Int>) -> Void) {
        let parts = (rows + Self.rowsAtOnce - 1) / Self.rowsAtOnce
        Dealer.deal(parts, threads: threads) { part in
            body(part * Self.rowsAtOnce..<min((part + 1) * Self.rowsAtOnce, rows))
        }
    }
}
