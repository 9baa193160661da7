/// A sequence of requests for objects, each object with its size in L1.
struct Trace {
    let name: String
    /// Bytes of each object; requests are places in it.
    let sizes: [Int32]
    let requests: [Int32]

    /// Bytes of all objects that are asked for at all.
    var footprint: Int {
        var seen = [Bool](repeating: false, count: self.sizes.count)
        var sum = 0
        for request in self.requests where !seen[Int(request)] {
            seen[Int(request)] = true
            sum += Int(self.sizes[Int(request)])
        }
        return sum
    }
}

/// Traces of readers of a recommendation server. The same seed gives the same traces, on every machine.
struct TraceMaker {
    let objects: Int
    let length: Int
    let seed: UInt64

    func all() -> [Trace] {
        [
            self.zipf(0.8), self.zipf(1.0), self.zipfWithScans(0.8), self.shiftingZipf(0.9), self.looping(),
        ]
    }

    private func zipf(_ exponent: Double) -> Trace {
        var generator = SplitMix(self.seed)
        let sizes = self.sizes(self.objects, &generator)
        let names = (0..<Int32(self.objects)).shuffled(using: &generator)
        let zipf = Zipf(count: self.objects, exponent: exponent)
        let requests = (0..<self.length).map { _ in names[zipf.draw(&generator)] }
        return Trace(name: "zipf \(exponent)", sizes: sizes, requests: requests)
    }

    /// Readers, and a crawler or a batch job that walks over users nobody else asks for: a quarter of all requests.
    private func zipfWithScans(_ exponent: Double) -> Trace {
        var generator = SplitMix(self.seed &+ 1)
        let scanLength = self.length / 40
        let scans = 10
        let sizes = self.sizes(self.objects + scans * scanLength, &generator)
        let names = (0..<Int32(self.objects)).shuffled(using: &generator)
        let zipf = Zipf(count: self.objects, exponent: exponent)
        var requests: [Int32] = []
        requests.reserveCapacity(self.length)
        var scanned = Int32(self.objects)
        let between = (self.length - scans * scanLength) / scans
        for _ in 0..<scans {
            for _ in 0..<between { requests.append(names[zipf.draw(&generator)]) }
            for _ in 0..<scanLength {
                requests.append(scanned)
                scanned += 1
            }
        }
        return Trace(name: "zipf \(exponent) + scans", sizes: sizes, requests: requests)
    }

    /// Who is hot changes: ten times in the trace, the thousand most asked for change places with others.
    private func shiftingZipf(_ exponent: Double) -> Trace {
        var generator = SplitMix(self.seed &+ 2)
        let sizes = self.sizes(self.objects, &generator)
        var names = (0..<Int32(self.objects)).shuffled(using: &generator)
        let zipf = Zipf(count: self.objects, exponent: exponent)
        var requests: [Int32] = []
        requests.reserveCapacity(self.length)
        for place in 0..<self.length {
            if place > 0, place % (self.length / 10) == 0 {
                for hot in 0..<min(1_000, self.objects) {
                    names.swapAt(hot, Int(generator.next() % UInt64(self.objects)))
                }
            }
            requests.append(names[zipf.draw(&generator)])
        }
        return Trace(name: "zipf \(exponent), shifting", sizes: sizes, requests: requests)
    }

    /// A job that asks for everybody in turn, over and over.
    private func looping() -> Trace {
        var generator = SplitMix(self.seed &+ 3)
        let count = self.objects / 4
        let sizes = self.sizes(count, &generator)
        return Trace(name: "looping", sizes: sizes, requests: (0..<self.length).map { Int32($0 % count) })
    }

    /// What L1 counts for an entry: a pool of up to 250 candidates with key, field and overhead. Most users have full
    /// pools, some short ones, a few entries of several surfaces and filters under one key.
    private func sizes(_ count: Int, _ generator: inout SplitMix) -> [Int32] {
        (0..<count).map { _ in
            switch generator.next() % 100 {
            case 0..<70: Int32(2_100 + generator.next() % 500)
            case 70..<95: Int32(600 + generator.next() % 1_500)
            default: Int32(4_000 + generator.next() % 8_000)
            }
        }
    }
}

/// Draws ranks with probability proportional to `1 / (rank + 1) ^ exponent`.
struct Zipf {
    private let cumulative: [Double]

    init(count: Int, exponent: Double) {
        var sum = 0.0
        self.cumulative = (1...count).map { rank in
            sum += 1 / power(Double(rank), exponent)
            return sum
        }
    }

    func draw(_ generator: inout SplitMix) -> Int {
        let point = Double(generator.next() >> 11) * 0x1p-53 * self.cumulative[self.cumulative.count - 1]
        var low = 0
        var high = self.cumulative.count - 1
        while low < high {
            let middle = (low + high) / 2
            if self.cumulative[middle] <= point { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
