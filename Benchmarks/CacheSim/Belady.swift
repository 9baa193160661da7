/// The optimum for objects of one size, who knows the future: keeps what is asked for again soonest, and does not keep what
/// is asked for later than all it holds. For objects of several sizes the true optimum is NP-hard; this is the usual
/// stand-in, a bound that none of the others may see.
struct Belady: Policy {
    private static let never = Int32.max

    private let capacity: Int
    private let sizes: [Int32]
    /// For each request the place of the next one of the same object.
    private let next: [Int32]
    private var position = 0
    private var nextUse: [Int32]
    private var isIn: [Bool]
    private var bytes = 0
    /// A heap by next use, farthest first; entries that no longer hold are dropped when they come up.
    private var heap: [(use: Int32, object: Int32)] = []

    init(capacity: Int, trace: Trace) {
        self.capacity = capacity
        self.sizes = trace.sizes
        var later = [Int32](repeating: Self.never, count: trace.sizes.count)
        var next = [Int32](repeating: Self.never, count: trace.requests.count)
        for place in trace.requests.indices.reversed() {
            next[place] = later[Int(trace.requests[place])]
            later[Int(trace.requests[place])] = Int32(place)
        }
        self.next = next
        self.nextUse = [Int32](repeating: Self.never, count: trace.sizes.count)
        self.isIn = [Bool](repeating: false, count: trace.sizes.count)
    }

    mutating func request(_ object: Int32) -> Bool {
        let use = self.next[self.position]
        self.position += 1
        let hit = self.isIn[Int(object)]
        if !hit {
            self.isIn[Int(object)] = true
            self.bytes += Int(self.sizes[Int(object)])
        }
        self.nextUse[Int(object)] = use
        self.push((use, object))
        while self.bytes > self.capacity {
            let farthest = self.pop()
            guard self.isIn[Int(farthest.object)], self.nextUse[Int(farthest.object)] == farthest.use else { continue }
            self.isIn[Int(farthest.object)] = false
            self.bytes -= Int(self.sizes[Int(farthest.object)])
        }
        return hit
    }

    private mutating func push(_ entry: (use: Int32, object: Int32)) {
        self.heap.append(entry)
        var child = self.heap.count - 1
        while child > 0, self.heap[(child - 1) / 2].use < self.heap[child].use {
            self.heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() -> (use: Int32, object: Int32) {
        self.heap.swapAt(0, self.heap.count - 1)
        let top = self.heap.removeLast()
        var parent = 0
        while true {
            var largest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < self.heap.count && self.heap[child].use > self.heap[largest].use { largest = child }
            if largest == parent { return top }
            self.heap.swapAt(parent, largest)
            parent = largest
        }
    }
}
