import Caching

/// A node's command connection: requests and replies in order, each way with a delay; closed when the oldest command has
/// waited too long, as the client does.
final class CommandLink {
    private struct Call {
        let id: UInt64
        let sentAt: Int64
        let resume: (SharedCacheError?) -> Void
    }

    /// What the client allows a command.
    static let timeout: Int64 = 100_000

    private let scheduler: Scheduler
    private(set) var number: UInt64 = 1
    private(set) var isUp = true
    private var calls: [Call] = []
    private var lastID: UInt64 = 0
    /// Of connections to the server that runs.
    private var firstAlive: UInt64 = 1
    private var lastArrival: Int64 = 0
    private var lastReply: Int64 = 0
    /// What is sent before arrives then, as where a network is down.
    var requestsHeldUntil: Int64 = 0
    /// Replies wait until then.
    var repliesHeldUntil: Int64 = 0
    /// Called before any call fails, and when there is a connection again.
    var onChange: () -> Void = {}
    var onLost: () -> Void = {}

    init(_ scheduler: Scheduler) {
        self.scheduler = scheduler
    }

    /// Runs steps in Redis, one after the other, others between them; resumes with their outcome, or with why there is none.
    func call(_ steps: [() -> SharedCacheError?], resume: @escaping (SharedCacheError?) -> Void) {
        guard self.isUp else { return resume(.unavailable) }
        self.lastID += 1
        let (id, number) = (self.lastID, self.number)
        self.calls.append(Call(id: id, sentAt: self.scheduler.now, resume: resume))
        if self.calls.count == 1 { self.watch() }
        self.execute(steps[...], id, number, nil)
    }

    /// Each step of a pipeline arrives by itself: others get between.
    private func execute(
        _ steps: ArraySlice<() -> SharedCacheError?>,
        _ id: UInt64,
        _ number: UInt64,
        _ failure: SharedCacheError?
    ) {
        let transit = Transit.draw(self.scheduler)
        self.lastArrival = max(self.lastArrival + 1, self.requestsHeldUntil, self.scheduler.now + transit)
        let arrival = self.lastArrival
        self.scheduler.at(arrival) {
            // What a server has in its buffers it carries out, though nobody waits for the answer any more.
            guard number == self.number || number >= self.firstAlive && self.scheduler.oneIn(2) else { return }
            let refusal = steps[steps.startIndex]()
            let failure = failure ?? refusal
            let rest = steps.dropFirst()
            if rest.isEmpty { self.reply(id, number, failure) } else { self.execute(rest, id, number, failure) }
        }
    }

    private func reply(_ id: UInt64, _ number: UInt64, _ failure: SharedCacheError?) {
        let transit = Transit.draw(self.scheduler)
        self.lastReply = max(self.lastReply + 1, self.repliesHeldUntil, self.scheduler.now + transit)
        self.scheduler.at(self.lastReply) {
            guard number == self.number, let place = self.calls.firstIndex(where: { $0.id == id }) else { return }
            self.calls.remove(at: place).resume(failure)
        }
    }

    /// One timer, for the oldest.
    private func watch() {
        guard let oldest = self.calls.first else { return }
        self.scheduler.at(oldest.sentAt + Self.timeout) {
            guard let first = self.calls.first else { return }
            if first.id == oldest.id { self.lose() } else { self.watch() }
        }
    }

    /// The connection ends, and what was answered is not heard.
    func lose(serverDied: Bool = false) {
        if serverDied { self.firstAlive = self.number + 1 }
        guard self.isUp else { return }
        self.isUp = false
        self.number += 1
        let calls = self.calls
        self.calls = []
        self.onChange()
        for (place, call) in calls.enumerated() {
            let isLate = self.scheduler.now - call.sentAt >= Self.timeout
            call.resume(place == 0 && isLate ? .timedOut : .unavailable)
        }
        self.onLost()
    }

    func connect() {
        guard !self.isUp else { return }
        self.isUp = true
        self.onChange()
    }
}

/// How long something is on its way.
enum Transit {
    static func draw(_ scheduler: Scheduler) -> Int64 {
        switch scheduler.draw(0...31) {
        case 0: scheduler.draw(5_000...60_000)
        case 1...3: scheduler.draw(500...5_000)
        default: scheduler.draw(40...300)
        }
    }
}
