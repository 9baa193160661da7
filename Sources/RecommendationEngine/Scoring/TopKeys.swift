/// A score and a number in one integer: the larger key has the higher score, of equal scores the lower number.
enum RankKey {
    @inline(__always)
    static func make(_ score: Float, _ number: UInt32) -> UInt64 {
        UInt64(self.order(score)) << 32 | UInt64(~number)
    }

    /// Bits in the order of the scores.
    @inline(__always)
    static func order(_ score: Float) -> UInt32 {
        let bits = (score + 0).bitPattern
        let sign = UInt32(bitPattern: Int32(bitPattern: bits) >> 31)
        return bits ^ (sign | 0x8000_0000)
    }

    @inline(__always)
    static func number(_ key: UInt64) -> UInt32 { ~UInt32(truncatingIfNeeded: key) }

    @inline(__always)
    static func score(_ key: UInt64) -> Float { self.score(order: UInt32(truncatingIfNeeded: key >> 32)) }

    @inline(__always)
    static func score(order: UInt32) -> Float {
        let sign = UInt32(bitPattern: Int32(bitPattern: ~order) >> 31)
        return Float(bitPattern: order ^ (sign | 0x8000_0000))
    }
}

/// The largest keys of a stream: a binary heap with the least of them at the root, reusable.
struct TopKeys: Sendable {
    /// The keys kept, in no order.
    private(set) var keys: [UInt64] = []
    private(set) var capacity = 0
    /// What a key must exceed: nothing until the heap is full, then its root; with no capacity no key does.
    private var floor: UInt64 = 0
    /// A key of a lower score does not make it: quicker to see than to make the key.
    private(set) var leastScore = -Float.infinity

    mutating func reset(capacity: Int) {
        self.keys.removeAll(keepingCapacity: true)
        self.capacity = max(capacity, 0)
        self.keys.reserveCapacity(self.capacity)
        self.floor = self.capacity > 0 ? 0 : .max
        self.leastScore = -.infinity
    }

    var isFull: Bool { self.keys.count == self.capacity }

    /// Keeps the key if it is among the largest so far, and says whether it was.
    @inline(__always)
    @discardableResult
    mutating func insert(_ key: UInt64) -> Bool {
        guard key > self.floor else { return false }
        self.keep(key)
        return true
    }

    private mutating func keep(_ key: UInt64) {
        if self.keys.count < self.capacity {
            self.keys.append(key)
            guard self.keys.count == self.capacity else { return }
            self.heapify()
        } else {
            self.keys.withUnsafeMutableBufferPointer { Self.sift(key, from: 0, in: $0) }
        }
        self.floor = self.keys[0]
        self.leastScore = RankKey.score(self.floor)
    }

    /// Best first; the heap is spent until the next reset.
    mutating func sortDescending() {
        self.keys.sort { $0 > $1 }
    }

    private mutating func heapify() {
        self.keys.withUnsafeMutableBufferPointer { heap in
            for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) {
                Self.sift(heap[index], from: index, in: heap)
            }
        }
    }

    private static func sift(_ key: UInt64, from start: Int, in heap: UnsafeMutableBufferPointer<UInt64>) {
        var hole = start
        var child = 2 * hole + 1
        while child < heap.count {
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < key else { break }
            heap[hole] = heap[child]
            hole = child
            child = 2 * hole + 1
        }
        heap[hole] = key
    }
}
