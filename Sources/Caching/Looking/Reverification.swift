import Metrics

/// Verifies what L1 holds after a new session has begun, in bulk and in the background, so that requests need not do it one
/// by one: L1 is never cleared for a session's sake.
///
/// Shard by shard, a few at once, the most asked for first: the floors of a few hundred keys in one round trip, and the
/// versions of those whose floor is not known, or not believed, in one statement. Ends early if the session does.
struct Reverification: Sendable {
    static let batch = 256
    /// Shards verified at once: while one waits for a store, another is stamped.
    private static let width = 4

    let keeper: CoherenceKeeper
    let shared: any SharedCache
    let versions: any VersionSource
    let metrics: PoolMetrics

    func run(session: UInt64) async {
        await withTaskGroup(of: Void.self) { group in
            for first in 0..<Self.width {
                group.addTask {
                    await self.run(stride(from: first, to: LocalCache.shardCount, by: Self.width), session: session)
                }
            }
        }
    }

    private func run(_ shards: StrideTo<Int>, session: UInt64) async {
        for shard in shards {
            var keys = self.keeper.local.unverified(shard: shard, session: session)[...]
            while !keys.isEmpty {
                let batch = Array(keys.prefix(Self.batch))
                keys = keys.dropFirst(Self.batch)
                guard !Task.isCancelled, await self.verify(batch, session: session) else { return }
            }
        }
    }

    /// False: the session is over, or the store cannot be asked; the rest is verified when it is asked for.
    private func verify(_ keys: [CacheKey], session: UInt64) async -> Bool {
        let notes = keys.map { LocalCache.Note(session: session, stripe: self.keeper.local.stripe(of: $0)) }
        guard self.keeper.standing().session == session else { return false }
        let wasTrusted = self.keeper.isSharedTrusted
        var floors: [Int64?]
        do {
            floors = try await self.shared.floors(of: keys)
        } catch {
            floors = keys.map { _ in nil }
        }
        var lowest = floors.map { $0 ?? 0 }
        let isTrusted = keys.allSatisfy { wasTrusted && self.keeper.believesShared(of: $0) }
        let isNilDoubtful = !self.keeper.faults.has(.nilFloorIsZero)
        let doubtful = keys.indices.filter { floors[$0] == nil && isNilDoubtful || !isTrusted }
        if !doubtful.isEmpty {
            do {
                let versions = try await self.versions.versions(of: doubtful.map { keys[$0] })
                for (place, version) in zip(doubtful, versions) {
                    // Without a row the owner is gone.
                    lowest[place] = version > 0 ? max(lowest[place], version) : .max
                }
            } catch {
                self.metrics.reverificationFailures.increment()
                return false
            }
        }
        guard self.keeper.standing().session == session else { return false }
        for (place, key) in keys.enumerated() {
            self.keeper.local.verified(key, atLeast: lowest[place], note: notes[place], session: session)
        }
        self.metrics.reverified.increment(by: keys.count)
        return true
    }
}
