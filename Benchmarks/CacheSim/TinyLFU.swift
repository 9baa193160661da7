/// W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017) with the fixed proportions of Caffeine's start: a window of one
/// hundredth, and a segmented LRU of which four fifths are protected. A candidate that leaves the window is admitted if it
/// is asked for more often than each victim that would have to go for it.
struct WTinyLFU: Policy {
    private enum Place: UInt8 { case nowhere, window, probation, protected }

    private let windowCapacity: Int
    private let mainCapacity: Int
    private let sizes: [Int32]
    private var window: Queue
    private var probation: Queue
    private var protected: Queue
    private var place: [Place]
    private var sketch: FrequencySketch

    init(capacity: Int, sizes: [Int32], hasDoorkeeper: Bool) {
        self.windowCapacity = max(16_384, capacity / 100)
        self.mainCapacity = capacity - self.windowCapacity
        self.sizes = sizes
        self.window = Queue(sizes: sizes)
        self.probation = Queue(sizes: sizes)
        self.protected = Queue(sizes: sizes)
        self.place = [Place](repeating: .nowhere, count: sizes.count)
        let mean = sizes.reduce(0) { $0 + Int($1) } / sizes.count
        self.sketch = FrequencySketch(entries: capacity / mean, hasDoorkeeper: hasDoorkeeper)
    }

    mutating func request(_ object: Int32) -> Bool {
        let index = Int(object)
        self.sketch.count(object)
        switch self.place[index] {
        case .window:
            self.window.remove(object)
            self.window.push(object)
            return true
        case .probation:
            self.probation.remove(object)
            self.protected.push(object)
            self.place[index] = .protected
            while self.protected.bytes > self.mainCapacity * 4 / 5 {
                let demoted = self.protected.popOldest()
                self.probation.push(demoted)
                self.place[Int(demoted)] = .probation
            }
            return true
        case .protected:
            self.protected.remove(object)
            self.protected.push(object)
            return true
        case .nowhere:
            self.window.push(object)
            self.place[index] = .window
            while self.window.bytes > self.windowCapacity { self.admit(self.window.popOldest()) }
            return false
        }
    }

    private mutating func admit(_ candidate: Int32) {
        let size = Int(self.sizes[Int(candidate)])
        let frequency = self.sketch.frequency(of: candidate)
        while self.probation.bytes + self.protected.bytes + size > self.mainCapacity {
            let victim = self.probation.oldest != Queue.none ? self.probation.oldest : self.protected.oldest
            guard victim != Queue.none, self.sketch.frequency(of: victim) < frequency else {
                self.place[Int(candidate)] = .nowhere
                return
            }
            if self.place[Int(victim)] == .probation {
                self.probation.remove(victim)
            } else {
                self.protected.remove(victim)
            }
            self.place[Int(victim)] = .nowhere
        }
        self.probation.push(candidate)
        self.place[Int(candidate)] = .probation
    }
}

/// A count-min sketch of four rows of 4-bit counters that are halved after ten requests for each entry of the cache; with a
/// doorkeeper, the first request of an object since then sets a bit only.
private struct FrequencySketch {
    private var counters: [UInt8]
    private var door: [UInt64]
    private let mask: UInt64
    private let hasDoorkeeper: Bool
    private let period: Int
    private var counted = 0

    init(entries: Int, hasDoorkeeper: Bool) {
        var width = 64
        while width < entries { width *= 2 }
        self.counters = [UInt8](repeating: 0, count: 4 * width)
        self.mask = UInt64(width - 1)
        self.hasDoorkeeper = hasDoorkeeper
        // Eight bits for each entry of the period's distinct objects.
        self.door = [UInt64](repeating: 0, count: hasDoorkeeper ? width : 0)
        self.period = 10 * max(64, entries)
    }

    mutating func count(_ object: Int32) {
        self.counted += 1
        if self.counted >= self.period { self.age() }
        if self.hasDoorkeeper {
            let (first, second) = self.doorBits(object)
            let isKnown = self.isSet(first) && self.isSet(second)
            self.door[first >> 6] |= 1 << UInt64(first & 63)
            self.door[second >> 6] |= 1 << UInt64(second & 63)
            guard isKnown else { return }
        }
        for row in 0..<4 {
            let place = self.place(object, row)
            if self.counters[place] < 15 { self.counters[place] += 1 }
        }
    }

    func frequency(of object: Int32) -> Int {
        var lowest = UInt8.max
        for row in 0..<4 { lowest = min(lowest, self.counters[self.place(object, row)]) }
        guard self.hasDoorkeeper else { return Int(lowest) }
        let (first, second) = self.doorBits(object)
        return Int(lowest) + (self.isSet(first) && self.isSet(second) ? 1 : 0)
    }

    private mutating func age() {
        self.counted /= 2
        for place in self.counters.indices { self.counters[place] >>= 1 }
        for place in self.door.indices { self.door[place] = 0 }
    }

    private func isSet(_ bit: Int) -> Bool { self.door[bit >> 6] >> UInt64(bit & 63) & 1 == 1 }

    private func doorBits(_ object: Int32) -> (Int, Int) {
        let hash = Self.mix(UInt64(UInt32(bitPattern: object)) &+ 0x5851_F42D)
        let bits = UInt64(self.door.count * 64 - 1)
        return (Int(hash & bits), Int(hash >> 32 & bits))
    }

    private func place(_ object: Int32, _ row: Int) -> Int {
        let hash = Self.mix(UInt64(UInt32(bitPattern: object)) &+ UInt64(row) &* 0x9E37_79B9_7F4A_7C15)
        return row * Int(self.mask + 1) + Int(hash & self.mask)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var generator = SplitMix(value)
        return generator.next()
    }
}
