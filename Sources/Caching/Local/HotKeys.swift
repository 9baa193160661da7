/// Which keys of a shard are asked for most: Space-Saving (Metwally, Agrawal, El Abbadi 2005) over every eighth request,
/// in constant memory. Holds hashes; no key ever leaves.
struct HotKeys {
    /// Requests, and how many of them went to the most asked for keys, for certain, most first.
    struct Summary: Sendable {
        private(set) var requests = 0
        private(set) var top: [Int] = []

        mutating func add(_ other: Summary) {
            self.requests += other.requests
            self.top = Array((self.top + other.top).sorted(by: >).prefix(128))
        }

        mutating func count(requests: Int, top: [Int]) {
            self.requests += requests
            self.top += top
        }

        /// The share of all requests that went to the `keys` most asked for, 0 without requests.
        func share(ofTop keys: Int) -> Double {
            self.requests == 0 ? 0 : Double(self.top.prefix(keys).reduce(0, +)) / Double(self.requests)
        }
    }

    private static let capacity = 16
    private static let sampling = 8

    private var counters: [(hash: Int, count: Int, error: Int)] = []
    private var requests = 0

    mutating func asked(_ hash: Int) {
        self.requests += 1
        guard self.requests % Self.sampling == 0 else { return }
        var least = 0
        for place in self.counters.indices {
            if self.counters[place].hash == hash {
                self.counters[place].count += 1
                return
            }
            if self.counters[place].count < self.counters[least].count { least = place }
        }
        if self.counters.count < Self.capacity {
            self.counters.append((hash, 1, 0))
        } else {
            let count = self.counters[least].count
            self.counters[least] = (hash, count + 1, count)
        }
    }

    /// What was asked for since the last call.
    mutating func take() -> Summary {
        var summary = Summary()
        summary.count(
            requests: self.requests,
            top: self.counters.map { ($0.count - $0.error) * Self.sampling }.filter { $0 > 0 }
        )
        self.counters.removeAll(keepingCapacity: true)
        self.requests = 0
        return summary
    }
}
