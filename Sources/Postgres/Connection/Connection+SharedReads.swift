internal import CLibpq

extension Connection {
    /// Sends reads together and completes them in order, each as its rows arrive; returns how many.
    ///
    /// The first failure ends all that come after it: they are one transaction. When their time is over, a cancel request
    /// makes the one that runs fail. Nothing is told of a failure: those that are left run alone, and if it lasts they meet it.
    func runTogether(_ reads: [PoolRead]) -> Int {
        var completed = 0
        do throws(PostgresError) {
            try runTogether(reads, &completed)
        } catch {
            if unsafe PQpipelineStatus(handle) != PQ_PIPELINE_OFF { _ = breakConnection() }
        }
        return completed
    }

    private func runTogether(_ reads: [PoolRead], _ completed: inout Int) throws(PostgresError) {
        // No call has this number, so none of them is interrupted for another.
        beginCall(.max, deadline: .now + SharedReads.patience)
        var names: [String] = []
        for read in reads { names.append(try prepare(read.statement, read.bindings)) }
        try begin()
        let began = ContinuousClock.now
        guard unsafe PQenterPipelineMode(handle) == 1 else { throw breakConnection() }
        var count = 0
        for (read, name) in zip(reads, names) {
            // What libpq refuses to send is told when it runs alone.
            guard send(read.bindings, to: name) == 1 else { break }
            count += 1
        }
        try sent(unsafe PQpipelineSync(handle))
        for (place, read) in reads.prefix(count).enumerated() {
            while let result = try nextResult() {
                switch result.status {
                case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                    guard place == completed else { continue }
                    read.complete(result, began)
                    completed += 1
                case PGRES_FATAL_ERROR, PGRES_PIPELINE_ABORTED: break
                default: throw breakConnection()
                }
            }
        }
        guard try nextResult()?.status == PGRES_PIPELINE_SYNC, unsafe PQexitPipelineMode(handle) == 1 else {
            throw breakConnection()
        }
        try settleCancelRequest()
    }
}
