import Caching
import Redis
import Testing
import VireoTestKit

/// The semantics of coherence, section 2, that the cache in memory and the scripts in Redis share: what is proved over the
/// one by schedules holds for the other only if they do not differ here.
@Suite("shared cache contract")
struct SharedCacheContractTests {
    private static let field = CacheField(parts: ["home", "m1", "p1", "-", "-", "0"])
    private static let hour = Duration.seconds(3_600)

    @Test("a lease is granted once and then held", arguments: CacheImplementation.allCases)
    func leaseIsExclusive(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            _ = try await subject.granted(key)
            let second = try await subject.cache.acquireLease(on: key, for: .seconds(60))
            guard case .held(let remaining) = second else {
                Issue.record("granted twice")
                return
            }
            #expect(remaining > .seconds(30) && remaining <= .seconds(60))
            _ = try await subject.granted(subject.key("bob"))
        }
    }

    @Test("many places are read in their order, what is not there as nothing", arguments: CacheImplementation.allCases)
    func bulkRead(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let keys = (0..<150).map { subject.key("bulk-\($0)") }
            for (number, key) in keys.enumerated() where number % 3 == 0 {
                try await subject.store(key, [UInt8(number)], version: Int64(number + 1))
            }
            let other = CacheField(parts: ["detail", "m1", "p1", "-", "-", "0"])
            let places = keys.map { CachePlace(key: $0, field: Self.field) } + [CachePlace(key: keys[0], field: other)]
            let reads = try await subject.cache.read(places)
            #expect(reads.count == places.count)
            for (number, read) in reads.prefix(150).enumerated() {
                #expect(read.floor == (number % 3 == 0 ? Int64(number + 1) : nil))
                #expect(read.entry == (number % 3 == 0 ? [UInt8(number)] : nil))
            }
            #expect(reads[150].floor == 1)
            #expect(reads[150].entry == nil)
            #expect(try await subject.cache.read([]).isEmpty)
        }
    }

    @Test("a lease that is renewed runs from then on; what is not held is not", arguments: CacheImplementation.allCases)
    func renewal(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let (key, other, lost) = (subject.key(), subject.key("bob"), subject.key("cay"))
            try await subject.store(other, [1], version: 9)
            let leases = [
                (lease: try await subject.granted(key, for: .seconds(1)), key: key),
                (lease: try await subject.granted(other), key: other),
                (lease: try await subject.granted(lost), key: lost),
            ]
            try await subject.lose(lost)
            // What took it back has left a floor, and the next one holds it.
            try await subject.cache.raiseFloors([Invalidation(key: other, version: 12)], on: nil)
            #expect(try await subject.cache.renew(leases, for: .seconds(60)) == [true, false, false])
            try await subject.letPass(.seconds(1))
            guard case .held(let remaining) = try await subject.cache.acquireLease(on: key, for: .seconds(60)) else {
                Issue.record("granted twice")
                return
            }
            #expect(remaining > .seconds(30) && remaining <= .seconds(60))
            #expect(try await subject.fill(key, version: 7, lease: leases[0].lease) == .stored)
            #expect(try await subject.cache.renew([leases[0]], for: .seconds(60)) == [false], "the fill has ended it")
            #expect(try await subject.cache.renew([], for: .seconds(60)).isEmpty)
            // Nothing was made of what was lost.
            _ = try await subject.granted(lost)
        }
    }

    @Test("leases and fills of many keep their order, each judged by itself", arguments: CacheImplementation.allCases)
    func bulkLeasesAndFills(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let keys = (0..<40).map { subject.key("bulk-\($0)") }
            let taken = try await subject.granted(keys[3])
            try await subject.store(keys[5], [0], version: 9)
            let grants = try await subject.cache.acquireLeases(on: keys, for: .seconds(60))
            #expect(grants.count == keys.count)
            var fills: [CacheFill] = []
            for (index, grant) in grants.enumerated() {
                switch grant {
                case .granted(let lease):
                    #expect(index != 3)
                    fills.append(subject.filling(keys[index], [UInt8(index)], version: 7, lease: lease))
                case .held: #expect(index == 3)
                }
            }
            // One lease is lost, another version is below its floor, a third lease is of somebody else.
            try await subject.cache.raiseFloors([Invalidation(key: keys[8], version: 8)], on: nil)
            let foreign = ComputeLease(id: "nobody", connection: fills[0].lease.connection)
            fills.append(subject.filling(keys[3], [3], version: 7, lease: foreign))
            let outcomes = try await subject.cache.fill(fills)
            #expect(outcomes.count == fills.count)
            for (fill, outcome) in zip(fills, outcomes) {
                let expected: FillOutcome =
                    switch fill.place.key {
                    case keys[3]: .leaseLost
                    case keys[5]: .belowFloor
                    case keys[8]: [.leaseLost, .belowFloor].contains(outcome) ? outcome : .leaseLost
                    default: .stored
                    }
                #expect(outcome == expected)
            }
            let reads = try await subject.cache.read(keys.map { CachePlace(key: $0, field: Self.field) })
            for (index, read) in reads.enumerated() {
                #expect(read.entry == ([3, 8].contains(index) ? nil : [index == 5 ? 0 : UInt8(index)]))
            }
            #expect(try await subject.fill(keys[3], version: 7, lease: taken) == .stored)
            #expect(try await subject.cache.acquireLeases(on: [], for: .seconds(1)).isEmpty)
            #expect(try await subject.cache.fill([]).isEmpty)
        }
    }

    @Test("of many who ask at once, one is granted the lease", arguments: CacheImplementation.allCases)
    func leaseRace(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let cache = subject.cache
            let granted = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<32 {
                    group.addTask {
                        if case .granted = try await cache.acquireLease(on: key, for: .seconds(60)) {
                            true
                        } else {
                            false
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(granted == 1)
        }
    }

    @Test(
        "an expired lease is granted anew, and its first holder's fill is refused",
        arguments: CacheImplementation.allCases
    )
    func leaseExpires(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let first = try await subject.granted(key, for: .milliseconds(20))
            try await subject.letPass(.milliseconds(25))
            let second = try await subject.granted(key)
            #expect(try await subject.fill(key, version: 5, lease: first) == .leaseLost)
            #expect(try await subject.fill(key, version: 5, lease: second) == .stored)
        }
    }

    @Test("an expired lease that nobody took still fills", arguments: CacheImplementation.allCases)
    func expiredButNotTaken(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key, for: .milliseconds(20))
            try await subject.letPass(.milliseconds(25))
            #expect(try await subject.fill(key, version: 5, lease: lease) == .stored)
        }
    }

    @Test("the floors of many keys come in their order, unknown ones as such", arguments: CacheImplementation.allCases)
    func floors(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            for (place, name) in ["ann", "bob"].enumerated() {
                let key = subject.key(name)
                let lease = try await subject.granted(key)
                #expect(try await subject.fill(key, version: Int64(place + 5), lease: lease) == .stored)
            }
            _ = try await subject.granted(subject.key("eve"))
            let keys = ["bob", "nobody", "eve", "ann", "bob"].map { subject.key($0) }
            #expect(try await subject.cache.floors(of: keys) == [6, nil, nil, 5, 6])
            #expect(try await subject.cache.floors(of: []) == [])
        }
    }

    @Test("a fill stores the entry, sets the floor and ends the lease", arguments: CacheImplementation.allCases)
    func fill(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            #expect(try await subject.fill(key, [1, 0, 255, 10, 13], version: 7, lease: lease) == .stored)
            let read = try await subject.cache.read(key, Self.field)
            #expect(read.entry == [1, 0, 255, 10, 13])
            #expect(read.floor == 7)
            #expect(try await subject.cache.floor(of: key) == 7)
            #expect(try await subject.fill(key, [2], version: 8, lease: lease) == .leaseLost)
            _ = try await subject.granted(key)
        }
    }

    @Test("a fill without the lease is refused", arguments: CacheImplementation.allCases)
    func fillWithoutLease(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            // A prefix of the id, the id with its end, and somebody else's.
            for foreign in [String(lease.id.dropLast()), lease.id + ":1", "", "nobody"] {
                let forged = ComputeLease(id: foreign, connection: lease.connection)
                #expect(try await subject.fill(key, version: 5, lease: forged) == .leaseLost)
            }
            let other = try await subject.granted(subject.key("bob"))
            #expect(try await subject.fill(key, version: 5, lease: other) == .leaseLost)
            #expect(try await subject.cache.read(key, Self.field).entry == nil)
            #expect(try await subject.fill(key, version: 5, lease: lease) == .stored)
        }
    }

    @Test("a fill after an invalidation is refused", arguments: CacheImplementation.allCases)
    func fillAfterInvalidation(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            try await subject.raise(key, to: 6)
            #expect(try await subject.fill(key, version: 5, lease: lease) == .leaseLost)
            // Even one whose snapshot had seen the write: it cannot be told from one that had not.
            #expect(try await subject.fill(key, version: 6, lease: lease) == .leaseLost)
            let read = try await subject.cache.read(key, Self.field)
            #expect(read.entry == nil)
            #expect(read.floor == 6)
        }
    }

    @Test("a fill after the hash is lost is refused and makes no hash", arguments: CacheImplementation.allCases)
    func fillAfterLoss(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            try await subject.lose(key)
            #expect(try await subject.fill(key, version: 5, lease: lease) == .leaseLost)
            let read = try await subject.cache.read(key, Self.field)
            #expect(read.entry == nil)
            #expect(read.floor == nil)
        }
    }

    @Test("a fill after the hash is lost and leased anew is refused", arguments: CacheImplementation.allCases)
    func fillAfterLossAndNewLease(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            try await subject.lose(key)
            let next = try await subject.granted(key)
            #expect(next.id != lease.id)
            #expect(try await subject.fill(key, version: 5, lease: lease) == .leaseLost)
            #expect(try await subject.fill(key, version: 6, lease: next) == .stored)
        }
    }

    @Test(
        "a fill below the floor is refused, ends the lease and leaves the entry",
        arguments: CacheImplementation.allCases
    )
    func fillBelowFloor(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            try await subject.store(key, [1], version: 10)
            let lease = try await subject.granted(key)
            #expect(try await subject.fill(key, [2], version: 9, lease: lease) == .belowFloor)
            let read = try await subject.cache.read(key, Self.field)
            #expect(read.entry == [1])
            #expect(read.floor == 10)
            _ = try await subject.granted(key)
        }
    }

    @Test("versions are compared as numbers, not as text", arguments: CacheImplementation.allCases)
    func numericVersions(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            try await subject.store(key, [1], version: 9)
            try await subject.raise(key, to: 10)
            #expect(try await subject.cache.floor(of: key) == 10)
            try await subject.raise(key, to: 9)
            #expect(try await subject.cache.floor(of: key) == 10)
            // The largest that Lua's numbers hold exactly.
            try await subject.raise(key, to: 9_007_199_254_740_990)
            try await subject.raise(key, to: 9_007_199_254_740_991)
            #expect(try await subject.cache.floor(of: key) == 9_007_199_254_740_991)
            let lease = try await subject.granted(key)
            #expect(try await subject.fill(key, version: 9_007_199_254_740_990, lease: lease) == .belowFloor)
        }
    }

    @Test("an entry of an equal version replaces", arguments: CacheImplementation.allCases)
    func equalVersionReplaces(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            try await subject.store(key, [1], version: 5)
            try await subject.store(key, [2], version: 5)
            #expect(try await subject.cache.read(key, Self.field).entry == [2])
        }
    }

    @Test(
        "a floor is raised by max only, and a late invalidation ends no lease",
        arguments: CacheImplementation.allCases
    )
    func floorByMax(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            try await subject.store(key, [1], version: 5)
            try await subject.raise(key, to: 12)
            let lease = try await subject.granted(key)
            try await subject.raise(key, to: 8)
            try await subject.raise(key, to: 12)
            #expect(try await subject.cache.floor(of: key) == 12)
            #expect(try await subject.fill(key, [2], version: 12, lease: lease) == .stored)
        }
    }

    @Test(
        "an invalidation leaves the entry, whose version is then below the floor",
        arguments: CacheImplementation.allCases
    )
    func invalidatedEntry(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            try await subject.store(key, [1], version: 5)
            try await subject.raise(key, to: 6)
            let read = try await subject.cache.read(key, Self.field)
            #expect(read.entry == [1])
            #expect(read.floor == 6)
        }
    }

    @Test("a missing floor is nil, never zero", arguments: CacheImplementation.allCases)
    func missingFloor(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            #expect(try await subject.cache.floor(of: key) == nil)
            _ = try await subject.granted(key)
            #expect(try await subject.cache.floor(of: key) == nil)
            let read = try await subject.cache.read(key, Self.field)
            #expect(read.floor == nil && read.entry == nil)
        }
    }

    @Test("an invalidation makes no hash where there is none", arguments: CacheImplementation.allCases)
    func invalidationOfNothing(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let (absent, present) = (subject.key("absent"), subject.key("present"))
            try await subject.store(present, [1], version: 1)
            try await subject.cache.raiseFloors([
                Invalidation(key: absent, version: 9), Invalidation(key: present, version: 9),
            ])
            #expect(try await subject.cache.floor(of: absent) == nil)
            #expect(try await subject.cache.floor(of: present) == 9)
        }
    }

    @Test("two hundred floors are raised in one call", arguments: CacheImplementation.allCases)
    func manyFloors(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let keys = (0..<200).map { subject.key("user-\($0)") }
            for key in keys { try await subject.store(key, [1], version: 1) }
            try await subject.cache.raiseFloors(
                keys.enumerated().map { Invalidation(key: $1, version: Int64($0) + 2) }
            )
            for (index, key) in keys.enumerated() {
                #expect(try await subject.cache.floor(of: key) == Int64(index) + 2)
            }
            try await subject.cache.raiseFloors([])
        }
    }

    @Test("a lease is released by its holder only", arguments: CacheImplementation.allCases)
    func release(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            try await subject.cache.release(ComputeLease(id: "nobody", connection: lease.connection), on: key)
            guard case .held = try await subject.cache.acquireLease(on: key, for: .seconds(60)) else {
                Issue.record("a stranger released the lease")
                return
            }
            try await subject.cache.release(lease, on: key)
            let next = try await subject.granted(key)
            // The first holder again, late.
            try await subject.cache.release(lease, on: key)
            #expect(try await subject.fill(key, version: 1, lease: next) == .stored)
        }
    }

    @Test("a released lease fills nothing", arguments: CacheImplementation.allCases)
    func fillAfterRelease(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let lease = try await subject.granted(key)
            try await subject.cache.release(lease, on: key)
            #expect(try await subject.fill(key, version: 1, lease: lease) == .leaseLost)
        }
    }

    @Test("fields of one key are apart, and share floor and lease", arguments: CacheImplementation.allCases)
    func fields(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let key = subject.key()
            let names = [["a|b", "c"], ["a", "b|c"], ["{x}", "*\n"], ["cafe\u{301}"], ["caf\u{e9}"]]
            let fields = names.map { CacheField(parts: $0 + ["0"]) }
            for (index, field) in fields.enumerated() {
                let lease = try await subject.granted(key)
                let outcome = try await subject.cache.fill(
                    CacheFill(
                        place: CachePlace(key: key, field: field),
                        entry: [UInt8(index)],
                        version: 3,
                        lease: lease,
                        keepFor: Self.hour
                    )
                )
                #expect(outcome == .stored)
            }
            for (index, field) in fields.enumerated() {
                let read = try await subject.cache.read(key, field)
                #expect(read.entry == [UInt8(index)])
                #expect(read.floor == 3)
            }
        }
    }

    @Test("users with hostile ids never meet", arguments: CacheImplementation.allCases)
    func hostileKeys(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            let members = [
                "a", "a|b", "a/b", "a}", "{x}", "x", "*", "?", "[a-z]", "%2A", "%", "a b", "a\nb", "a\r\nb", "\u{0}",
                "floor", "lease",
                "relayed", "..", String(repeating: "\u{1F9E8}", count: 32), "caf\u{e9}", "cafe\u{301}", "ß", "ss", "A",
            ]
            var keys = members.map { subject.key($0) }
            keys += [subject.key("c", owner: "a/b"), subject.key("b/c", owner: "a"), subject.key("c}", owner: "{a")]
            #expect(Set(keys).count == keys.count)
            for (index, key) in keys.enumerated() {
                try await subject.store(key, [UInt8(index)], version: Int64(index) + 1)
            }
            for (index, key) in keys.enumerated() {
                let read = try await subject.cache.read(key, Self.field)
                #expect(read.entry == [UInt8(index)])
                #expect(read.floor == Int64(index) + 1)
            }
            try await subject.raise(keys[0], to: 1_000)
            for (index, key) in keys.enumerated().dropFirst() {
                #expect(try await subject.cache.floor(of: key) == Int64(index) + 1)
            }
        }
    }

    @Test("the relay's position is nil until it is written", arguments: CacheImplementation.allCases)
    func relayed(_ implementation: CacheImplementation) async throws {
        try await implementation.run { subject in
            #expect(try await subject.progress.position() == nil)
            let first = position(1, 1)
            try await subject.progress.set(first)
            #expect(try await subject.progress.position() == first)
            let second = position(4_294_967_299, 4_294_967_310, [4_294_967_300, 4_294_967_305])
            try await subject.progress.set(second, controlHead: .max)
            #expect(try await subject.progress.position() == second)
            // It is the relay that knows how far it is; nobody makes it go forward only.
            try await subject.progress.set(first)
            #expect(try await subject.progress.position() == first)
        }
    }
}

/// One implementation at a time, with what a test does to it from outside.
struct CacheSubject: Sendable {
    let cache: any SharedCache
    let progress: any RelayProgress
    let incarnation: String
    /// What FLUSHALL, eviction or expiry do.
    let lose: @Sendable (CacheKey) async throws -> Void
    /// Lets the store's time pass.
    let letPass: @Sendable (Duration) async throws -> Void

    func key(_ member: String = "ann", owner: String = "default") -> CacheKey {
        CacheKey(namespace: self.incarnation, owner: owner, member: member)
    }

    func granted(_ key: CacheKey, for duration: Duration = .seconds(60)) async throws -> ComputeLease {
        guard case .granted(let lease) = try await self.cache.acquireLease(on: key, for: duration) else {
            throw NeverHappened(description: "the lease was not granted")
        }
        return lease
    }

    func fill(
        _ key: CacheKey,
        _ entry: [UInt8] = [1],
        version: Int64,
        lease: ComputeLease
    ) async throws -> FillOutcome {
        try await self.cache.fill(self.filling(key, entry, version: version, lease: lease))
    }

    func filling(_ key: CacheKey, _ entry: [UInt8], version: Int64, lease: ComputeLease) -> CacheFill {
        CacheFill(
            place: CachePlace(key: key, field: CacheField(parts: ["home", "m1", "p1", "-", "-", "0"])),
            entry: entry,
            version: version,
            lease: lease,
            keepFor: .seconds(3_600)
        )
    }

    func store(_ key: CacheKey, _ entry: [UInt8], version: Int64) async throws {
        let lease = try await self.granted(key)
        guard try await self.fill(key, entry, version: version, lease: lease) == .stored else {
            throw NeverHappened(description: "the entry was not stored")
        }
    }

    func raise(_ key: CacheKey, to version: Int64) async throws {
        try await self.cache.raiseFloors([Invalidation(key: key, version: version)])
    }
}

enum CacheImplementation: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case memory, redis

    var testDescription: String { self.rawValue }

    func run(_ body: (CacheSubject) async throws -> Void) async throws {
        switch self {
        case .memory:
            let clock = ManualClock()
            let cache = InMemorySharedCache(clock: clock)
            try await body(
                CacheSubject(
                    cache: cache,
                    progress: cache,
                    incarnation: "memory",
                    lose: { cache.lose($0) },
                    letPass: { clock.advance(by: $0) }
                )
            )
        case .redis:
            try await withRedis { redis in
                try await body(
                    CacheSubject(
                        cache: redis.cache,
                        progress: redis.cache,
                        incarnation: redis.incarnation,
                        lose: { try await redis.send("UNLINK", redis.name($0)) },
                        letPass: { duration in
                            let (seconds, attoseconds) = duration.components
                            let until = try await redis.now() + seconds * 1_000 + attoseconds / 1_000_000_000_000_000
                            try await eventually("Redis time passes") { try await redis.now() >= until }
                        }
                    )
                )
            }
        }
    }
}
