/// A cache of a number of bytes.
protocol Policy {
    /// Asks for an object and keeps it if the policy wants to; whether it was there.
    mutating func request(_ object: Int32) -> Bool
}

/// Evicts what was not asked for longest.
struct LRU: Policy {
    private let capacity: Int
    private var queue: Queue
    private var isIn: [Bool]

    init(capacity: Int, sizes: [Int32]) {
        self.capacity = capacity
        self.queue = Queue(sizes: sizes)
        self.isIn = [Bool](repeating: false, count: sizes.count)
    }

    mutating func request(_ object: Int32) -> Bool {
        if self.isIn[Int(object)] {
            self.queue.remove(object)
            self.queue.push(object)
            return true
        }
        self.queue.push(object)
        self.isIn[Int(object)] = true
        while self.queue.bytes > self.capacity { self.isIn[Int(self.queue.popOldest())] = false }
        return false
    }
}

/// SIEVE (Zhang et al., NSDI 2024).
struct Sieve: Policy {
    private let capacity: Int
    private let sizes: [Int32]
    private var queue: Queue
    private var isIn: [Bool]
    private var visited: [Bool]
    private var hand = Queue.none

    init(capacity: Int, sizes: [Int32]) {
        self.capacity = capacity
        self.sizes = sizes
        self.queue = Queue(sizes: sizes)
        self.isIn = [Bool](repeating: false, count: sizes.count)
        self.visited = self.isIn
    }

    mutating func request(_ object: Int32) -> Bool {
        if self.isIn[Int(object)] {
            self.visited[Int(object)] = true
            return true
        }
        while self.queue.count > 0, self.queue.bytes + Int(self.sizes[Int(object)]) > self.capacity { self.evict() }
        self.queue.push(object)
        self.isIn[Int(object)] = true
        self.visited[Int(object)] = false
        return false
    }

    private mutating func evict() {
        var object = self.hand == Queue.none ? self.queue.oldest : self.hand
        while self.visited[Int(object)] {
            self.visited[Int(object)] = false
            object = self.queue.newer(than: object)
            if object == Queue.none { object = self.queue.oldest }
        }
        self.hand = self.queue.newer(than: object)
        self.queue.remove(object)
        self.isIn[Int(object)] = false
    }
}

/// S3-FIFO (Yang et al., SOSP 2023): a small queue of a tenth, a main queue, and a ghost of as many objects as main holds.
struct S3FIFO: Policy {
    private enum Place: UInt8 { case nowhere, small, main, ghost }

    private let capacity: Int
    private let sizes: [Int32]
    private var small: Queue
    private var main: Queue
    private var ghost: Queue
    private var place: [Place]
    private var frequency: [UInt8]

    init(capacity: Int, sizes: [Int32]) {
        self.capacity = capacity
        self.sizes = sizes
        self.small = Queue(sizes: sizes)
        self.main = Queue(sizes: sizes)
        self.ghost = Queue(sizes: sizes)
        self.place = [Place](repeating: .nowhere, count: sizes.count)
        self.frequency = [UInt8](repeating: 0, count: sizes.count)
    }

    mutating func request(_ object: Int32) -> Bool {
        let index = Int(object)
        switch self.place[index] {
        case .small, .main:
            self.frequency[index] = min(3, self.frequency[index] + 1)
            return true
        case .ghost:
            self.ghost.remove(object)
            self.place[index] = .nowhere
            self.makeRoom(Int(self.sizes[index]))
            self.main.push(object)
            self.place[index] = .main
        case .nowhere:
            self.makeRoom(Int(self.sizes[index]))
            self.small.push(object)
            self.place[index] = .small
        }
        self.frequency[index] = 0
        return false
    }

    private mutating func makeRoom(_ size: Int) {
        while self.small.count + self.main.count > 0, self.small.bytes + self.main.bytes + size > self.capacity {
            if self.small.bytes >= self.capacity / 10 || self.main.count == 0 {
                self.evictSmall()
            } else {
                self.evictMain()
            }
        }
    }

    private mutating func evictSmall() {
        while self.small.count > 0 {
            let object = self.small.popOldest()
            if self.frequency[Int(object)] > 1 {
                self.frequency[Int(object)] = 0
                self.main.push(object)
                self.place[Int(object)] = .main
                continue
            }
            self.ghost.push(object)
            self.place[Int(object)] = .ghost
            while self.ghost.bytes > self.capacity * 9 / 10 { self.place[Int(self.ghost.popOldest())] = .nowhere }
            return
        }
    }

    private mutating func evictMain() {
        while self.main.count > 0 {
            let object = self.main.popOldest()
            if self.frequency[Int(object)] > 0 {
                self.frequency[Int(object)] -= 1
                self.main.push(object)
                continue
            }
            self.place[Int(object)] = .nowhere
            return
        }
    }
}
