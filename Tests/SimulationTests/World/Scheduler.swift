import LoadClient

/// Virtual time and the order of everything that happens in one schedule: events at microseconds, those of one moment in
/// an order that is drawn. One thread runs a schedule from its beginning to its end, so nothing in it is locked.
final class Scheduler: @unchecked Sendable {
    private struct Event {
        let at: Int64
        /// Decides among the events of one moment.
        let draw: UInt64
        /// Where its body is kept.
        let slot: Int

        static func < (first: Event, second: Event) -> Bool {
            first.at < second.at || first.at == second.at && first.draw < second.draw
        }
    }

    /// More than ever wait at once.
    private static let capacity = 8_192

    /// Microseconds since the schedule began.
    private(set) var now: Int64 = 0
    /// Of everything that happened: two runs of a seed that differ in anything differ in this.
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var count = 0
    private var random: SplitMix
    /// A binary heap, bare: a build without optimisation spends its time on little else.
    private let heap = UnsafeMutablePointer<Event>.allocate(capacity: capacity)
    private var waiting = 0
    private var bodies: [(() -> Void)?] = []
    private var free: [Int] = []
    private let keepsLog: Bool
    private(set) var log: [String] = []

    init(seed: UInt64, keepsLog: Bool) {
        self.random = SplitMix(seed: seed)
        self.keepsLog = keepsLog
    }

    deinit { self.heap.deallocate() }

    // MARK: Chance

    func draw(_ range: ClosedRange<Int64>) -> Int64 {
        let width = UInt64(range.upperBound - range.lowerBound) + 1
        return range.lowerBound + Int64(self.random.next() % width)
    }

    /// Whether one of so many chances came up.
    func oneIn(_ count: UInt64) -> Bool { self.random.next() % count == 0 }

    func pick<Element>(_ elements: [Element]) -> Element { elements[Int(self.random.next() % UInt64(elements.count))] }

    // MARK: Events

    func after(_ delay: Int64, _ body: @escaping () -> Void) { self.at(self.now + delay, body) }

    func at(_ moment: Int64, _ body: @escaping () -> Void) {
        precondition(self.waiting < Self.capacity, "too much waits in one schedule")
        let slot: Int
        if let last = self.free.popLast() {
            slot = last
            self.bodies[slot] = body
        } else {
            slot = self.bodies.count
            self.bodies.append(body)
        }
        let event = Event(at: moment > self.now ? moment : self.now, draw: self.random.next(), slot: slot)
        var child = self.waiting
        self.waiting += 1
        while child > 0, event < self.heap[(child - 1) / 2] {
            self.heap[child] = self.heap[(child - 1) / 2]
            child = (child - 1) / 2
        }
        self.heap[child] = event
    }

    /// Runs what is due until a moment.
    func run(until end: Int64) {
        while self.waiting > 0, self.heap[0].at <= end {
            let event = self.heap[0]
            self.waiting -= 1
            if self.waiting > 0 { self.sink(self.heap[self.waiting]) }
            self.now = event.at
            self.count += 1
            self.digest = (self.digest ^ UInt64(bitPattern: event.at)) &* 0x100_0000_01B3
            let body = self.bodies[event.slot]
            self.bodies[event.slot] = nil
            self.free.append(event.slot)
            body?()
        }
        self.now = end
    }

    private func sink(_ event: Event) {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= self.waiting { break }
            if child + 1 < self.waiting, self.heap[child + 1] < self.heap[child] { child += 1 }
            if event < self.heap[child] { break }
            self.heap[parent] = self.heap[child]
            parent = child
        }
        self.heap[parent] = event
    }

    /// A line of the account of a schedule that is replayed.
    func note(_ line: @autoclosure () -> String) {
        guard self.keepsLog else { return }
        let time = String(self.now / 1_000) + "." + String(1_000 + self.now % 1_000).dropFirst()
        self.log.append("\(time) ms  \(line())")
    }
}
