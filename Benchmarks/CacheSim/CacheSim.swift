#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Which policy should evict from L1: hit ratios over traces, by capacity in bytes, beside Belady's optimum.
///
///     swift run -c release cache-sim [OBJECTS] [REQUESTS] [SEED]
///
/// Defaults: 100,000 objects, 2,000,000 requests, seed 1. Deterministic: the same arguments print the same table. The first
/// fifth of each trace warms the caches and is not counted.
@main
struct CacheSim {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst().map { Int($0) }
        guard arguments.allSatisfy({ $0 != nil && $0! > 0 }), arguments.count <= 3 else {
            print("usage: cache-sim [OBJECTS] [REQUESTS] [SEED]")
            exit(64)
        }
        let given = arguments.map { $0! }
        let maker = TraceMaker(
            objects: given.count > 0 ? given[0] : 100_000,
            length: given.count > 1 ? given[1] : 2_000_000,
            seed: UInt64(given.count > 2 ? given[2] : 1)
        )
        print("hit ratio in %, and in brackets the gap to Belady in points; capacity in % of all bytes asked for\n")
        print("| trace | capacity | LRU | SIEVE | S3-FIFO | W-TinyLFU | + doorkeeper | Belady |")
        print("|---|---|---|---|---|---|---|---|")
        var gaps = [Double](repeating: 0, count: 5)
        var rows = 0.0
        for trace in maker.all() {
            let footprint = trace.footprint
            for percent in [1, 2, 5, 10, 25, 50] {
                let capacity = footprint * percent / 100
                let best = Self.hitRatio(Belady(capacity: capacity, trace: trace), trace)
                let ratios = [
                    Self.hitRatio(LRU(capacity: capacity, sizes: trace.sizes), trace),
                    Self.hitRatio(Sieve(capacity: capacity, sizes: trace.sizes), trace),
                    Self.hitRatio(S3FIFO(capacity: capacity, sizes: trace.sizes), trace),
                    Self.hitRatio(WTinyLFU(capacity: capacity, sizes: trace.sizes, hasDoorkeeper: false), trace),
                    Self.hitRatio(WTinyLFU(capacity: capacity, sizes: trace.sizes, hasDoorkeeper: true), trace),
                ]
                let cells = ratios.map { "\(Self.decimal($0)) (\(Self.decimal(best - $0)))" }
                print("| \(trace.name) | \(percent) | \(cells.joined(separator: " | ")) | \(Self.decimal(best)) |")
                for place in gaps.indices { gaps[place] += best - ratios[place] }
                rows += 1
            }
        }
        let means = gaps.map { Self.decimal($0 / rows) }
        print("| mean gap | | \(means.joined(separator: " | ")) | |")
    }

    private static func hitRatio(_ policy: some Policy, _ trace: Trace) -> Double {
        var policy = policy
        let warm = trace.requests.count / 5
        var hits = 0
        for (place, object) in trace.requests.enumerated() where policy.request(object) && place >= warm { hits += 1 }
        return 100 * Double(hits) / Double(trace.requests.count - warm)
    }

    /// One decimal place.
    private static func decimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
