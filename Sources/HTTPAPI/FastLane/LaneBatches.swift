import NIOCore

/// Work that the requests of one event loop wait for, done for many together: what is asked for while earlier batches are under
/// way makes up the next one.
///
/// Used on its event loop alone; the work itself is run by ``LaneDesks/run()``.
final class LaneBatches<Question: Sendable, Outcome: Sendable> {
    private struct Waiting {
        let question: Question
        let deliver: (Outcome) -> Void
    }

    private let eventLoop: any EventLoop
    private let width: Int
    private let maximum: Int
    private let work: @Sendable ([Question]) async -> [Outcome]
    private let submit: (@escaping @Sendable () async -> Void) -> Void
    /// Batches that may wait for those under way; more would be done for nobody, long after all have gone on.
    private static var maximumPending: Int { 8 }

    private var pending: [Waiting] = []
    private var isScheduled = false
    private var running = 0

    /// - Parameters:
    ///   - width: Batches under way at once.
    ///   - maximum: Questions of a batch.
    ///   - submit: Has something run elsewhere.
    ///   - work: Gives an outcome for each question, in their order.
    init(
        on eventLoop: any EventLoop,
        width: Int,
        maximum: Int,
        submit: @escaping (@escaping @Sendable () async -> Void) -> Void,
        work: @escaping @Sendable ([Question]) async -> [Outcome]
    ) {
        self.eventLoop = eventLoop
        self.width = width
        self.maximum = maximum
        self.submit = submit
        self.work = work
    }

    /// Whether more may be asked now.
    var hasRoom: Bool { self.pending.count < Self.maximumPending * self.maximum }

    /// - Parameter deliver: Called on the event loop, later; not at all if the work is never done.
    func ask(_ question: Question, deliver: @escaping (Outcome) -> Void) {
        self.pending.append(Waiting(question: question, deliver: deliver))
        guard !self.isScheduled, self.running < self.width else { return }
        self.isScheduled = true
        // After what else this turn of the loop reads.
        self.eventLoop.assumeIsolated().execute {
            self.isScheduled = false
            self.begin()
        }
    }

    private func begin() {
        while self.running < self.width, !self.pending.isEmpty {
            let batch = Array(self.pending.prefix(self.maximum))
            self.pending.removeFirst(batch.count)
            self.running += 1
            let (questions, work, eventLoop) = (batch.map(\.question), self.work, self.eventLoop)
            let end = NIOLoopBound({ (outcomes: [Outcome]) in self.end(batch, outcomes) }, eventLoop: eventLoop)
            self.submit {
                let outcomes = await work(questions)
                eventLoop.execute { end.value(outcomes) }
            }
        }
    }

    private func end(_ batch: [Waiting], _ outcomes: [Outcome]) {
        self.running -= 1
        for (waiting, outcome) in zip(batch, outcomes) { waiting.deliver(outcome) }
        self.begin()
    }
}
