#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// When a fresh entry is refreshed ahead of its expiry: XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic
/// cache stampede prevention", VLDB 2015).
///
/// Each request draws once: it refreshes if `now - cost * ln(draw) >= expiry`, so that a key is refreshed early with a
/// probability that grows with what the value cost and with how often it is asked for, and a rare key never.
enum EarlyRefresh {
    /// Beyond so many costs before the expiry no draw is worth it: e^-20 of all requests.
    private static let horizon: Int64 = 20

    /// - Parameters:
    ///   - entry: A fresh one.
    ///   - now: Milliseconds of Redis time.
    ///   - draw: A number in 0..<1, asked for only near the expiry.
    static func isDue(_ entry: CacheEntry, at now: Int64, draw: () -> Double) -> Bool {
        guard Self.isNear(entry, at: now) else { return false }
        return -Double(entry.cost) * log(1 - draw()) >= Double((entry.softExpiry - now) * 1_000)
    }

    /// Whether the expiry is so near that a draw decides.
    static func isNear(_ entry: CacheEntry, at now: Int64) -> Bool {
        (entry.softExpiry - now) * 1_000 < Int64(entry.cost) * Self.horizon
    }
}
