import RecommendationCore

/// Computes rows of a graph, one at a time, with scratch of its own.
protocol RowWorker: SendableMetatype {
    mutating func append(row: Int, to buffer: inout RowBuffer)
}

/// The rows one worker has computed, in the order it computed them.
struct RowBuffer: Sendable {
    fileprivate var rows: [UInt32] = []
    fileprivate var ends: [Int] = []
    private(set) var ids: [UInt32] = []
    private(set) var weights: [UInt16] = []

    mutating func append(id: UInt32, weight: Float) {
        self.ids.append(id)
        self.weights.append(HalfFloat.encode(weight))
    }

    fileprivate mutating func end(row: UInt32) {
        self.rows.append(row)
        self.ends.append(self.ids.count)
    }
}

/// Computes the rows of a graph on several threads.
///
/// Rows are dealt out by descending cost, a few at a time, to whichever worker is free. No row depends on another, so the
/// graph is the same however many workers there are.
enum RowFit {
    private struct State<Worker: RowWorker> {
        var worker: Worker
        var buffer: RowBuffer
    }

    static func graph<Worker: RowWorker>(
        costs: [Int],
        threads: Int,
        worker makeWorker: @Sendable () -> Worker
    ) -> NeighbourGraph {
        let order = Dealer.descending(costs)
        let finished = Dealer.deal(
            order.count,
            atOnce: 4,
            threads: threads,
            state: { State(worker: makeWorker(), buffer: RowBuffer()) },
            body: { state, index in
                state.worker.append(row: Int(order[index]), to: &state.buffer)
                state.buffer.end(row: order[index])
            }
        )
        return Self.assemble(finished.map(\.buffer), rowCount: costs.count)
    }

    private static func assemble(_ buffers: [RowBuffer], rowCount: Int) -> NeighbourGraph {
        var offsets = [UInt32](repeating: 0, count: rowCount + 1)
        for buffer in buffers {
            var start = 0
            for (row, end) in zip(buffer.rows, buffer.ends) {
                offsets[Int(row) + 1] = UInt32(end - start)
                start = end
            }
        }
        for row in 0..<rowCount { offsets[row + 1] += offsets[row] }
        let edges = Int(offsets[rowCount])
        var ids = [UInt32](repeating: 0, count: edges)
        var weights = [UInt16](repeating: 0, count: edges)
        for buffer in buffers {
            var start = 0
            for (row, end) in zip(buffer.rows, buffer.ends) {
                let target = Int(offsets[Int(row)])
                for position in start..<end {
                    ids[target + position - start] = buffer.ids[position]
                    weights[target + position - start] = buffer.weights[position]
                }
                start = end
            }
        }
        return NeighbourGraph(offsets: offsets, ids: ids, weights: weights)
    }
}
