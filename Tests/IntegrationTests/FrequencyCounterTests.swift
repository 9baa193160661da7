import Caching
import LocalServers
import Redis
import Testing

@testable import RecommendationCore
@testable import RedisAdapters

@Suite("counters of frequency caps in Redis")
struct FrequencyCounterTests {
    private static let day = Duration.seconds(86_400)

    private static func counters(_ redis: RedisSubject, hold: Duration = .seconds(600)) -> RedisFrequencyCounters {
        RedisFrequencyCounters(client: redis.client, namespace: redis.namespace, hold: hold)
    }

    /// The id of a recommendation of now, by the clock of Redis.
    private static func recommendation(_ redis: RedisSubject, _ number: UInt8) async throws -> [UInt8] {
        self.recommendation(at: try await redis.now(), number)
    }

    private static func recommendation(at milliseconds: Int64, _ number: UInt8) -> [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: milliseconds >> Int64(40 - 8 * $0)) } + Array(repeating: 0, count: 9)
            + [number]
    }

    private static func reservation(
        _ id: [UInt8],
        _ items: [UInt32],
        user: String = "ann",
        surface: String = "home",
        caps: [CapReservation.Cap] = [CapReservation.Cap(maximum: 1, window: day, isOfSurface: false)],
        others: [UInt32] = [],
        released: [UInt32] = [],
        isWhole: Bool = false
    ) -> CapReservation {
        let bits = UInt8(truncatingIfNeeded: (1 << caps.count) - 1)
        return CapReservation(
            id: id,
            user: User.ID(trusted: user),
            surface: surface,
            caps: caps,
            chosen: items.map { CappedItem(number: $0, caps: bits) },
            others: others.map { CappedItem(number: $0, caps: bits) },
            released: released,
            isWhole: isWhole
        )
    }

    private static func ids(_ redis: RedisSubject, _ count: UInt8) async throws -> [[UInt8]] {
        let now = try await redis.now()
        return (0..<count).map { self.recommendation(at: now, $0) }
    }

    @Test("what is reserved counts for others and not for itself, however often it is asked; the rest is told")
    func reserves() async throws {
        try await withRedis { redis in
            let (counters, ids) = (Self.counters(redis), try await Self.ids(redis, 4))
            let first = Self.reservation(ids[0], [7, 4_294_967_295], others: [8, 9])
            for _ in 0..<3 {
                #expect(try await counters.reserve(first, tenant: .default) == .reserved(refused: [], full: []))
            }
            let second = Self.reservation(ids[1], [7, 8], others: [9, 4_294_967_295])
            for _ in 0..<2 {
                let outcome = try await counters.reserve(second, tenant: .default)
                #expect(outcome == .reserved(refused: [7], full: [4_294_967_295]))
            }
            // What the second gives back, the third may have; what it holds it keeps.
            let changed = Self.reservation(ids[1], [9], released: [8, 77])
            #expect(try await counters.reserve(changed, tenant: .default) == .reserved(refused: [], full: []))
            let third = Self.reservation(ids[2], [8, 9, 7])
            #expect(try await counters.reserve(third, tenant: .default) == .reserved(refused: [7, 9], full: []))
            // Of another user, and of another tenant, nothing was shown.
            let other = Self.reservation(ids[3], [7], user: "anna")
            #expect(try await counters.reserve(other, tenant: .default) == .reserved(refused: [], full: []))
            let foreign = Self.reservation(ids[3], [7])
            #expect(try await counters.reserve(foreign, tenant: id("acme")) == .reserved(refused: [], full: []))
        }
    }

    @Test("a reservation ends by itself, and a confirmed one does not")
    func release() async throws {
        try await withRedis { redis in
            let counters = Self.counters(redis, hold: .milliseconds(6_000))
            let ids = try await Self.ids(redis, 3)
            let reserved = try await redis.now()
            _ = try await counters.reserve(Self.reservation(ids[0], [1, 2]), tenant: .default)
            let shown = ShownItem(number: 2, recommendationID: ids[0], surface: "home")
            for _ in 0..<2 {
                try await counters.confirm([id("ann"): [shown]], keeping: Self.day, tenant: .default)
            }
            let early = try await counters.reserve(Self.reservation(ids[1], [1, 2]), tenant: .default)
            // On a machine that is that slow it has ended by itself.
            if try await redis.now() < reserved + 6_000 { #expect(early == .reserved(refused: [1, 2], full: [])) }
            let began = try await redis.now()
            while try await redis.now() <= began + 6_000 { try await Task.sleep(for: .milliseconds(20)) }
            let late = try await counters.reserve(Self.reservation(ids[2], [1, 2]), tenant: .default)
            #expect(late == .reserved(refused: [2], full: []))
        }
    }

    private static func milliseconds(of id: [UInt8]) -> Int64 { id.prefix(6).reduce(0) { $0 << 8 | Int64($1) } }

    @Test("the window slides: what is older than it counts no more")
    func window() async throws {
        try await withRedis { redis in
            let counters = Self.counters(redis)
            let caps = [CapReservation.Cap(maximum: 2, window: .milliseconds(400), isOfSurface: false)]
            let now = try await redis.now()
            let shown = [100, 200, 5_000].enumerated().map { index, age in
                ShownItem(
                    number: 5,
                    recommendationID: Self.recommendation(at: now - Int64(age), UInt8(100 + index)),
                    surface: "home"
                )
            }
            try await counters.confirm([id("ann"): shown], keeping: Self.day, tenant: .default)
            var granted: Int64?
            while granted == nil {
                let id = try await Self.recommendation(redis, 1)
                let outcome = try await counters.reserve(Self.reservation(id, [5], caps: caps), tenant: .default)
                if outcome == .reserved(refused: [], full: []) { granted = try await redis.now() }
            }
            // The second of them left the window 200 ms after it was told.
            #expect(try #require(granted) >= now + 200)
        }
    }

    @Test("a cap of a surface counts there alone, and each cap by itself")
    func surfaces() async throws {
        try await withRedis { redis in
            let (counters, ids) = (Self.counters(redis), try await Self.ids(redis, 6))
            let caps = [
                CapReservation.Cap(maximum: 1, window: Self.day, isOfSurface: true),
                CapReservation.Cap(maximum: 2, window: Self.day, isOfSurface: false),
            ]
            func ask(_ index: Int, _ surface: String) async throws -> CapOutcome {
                let reservation = Self.reservation(ids[index], [3], surface: surface, caps: caps)
                return try await counters.reserve(reservation, tenant: .default)
            }
            let (granted, refused) = (
                CapOutcome.reserved(refused: [], full: []), CapOutcome.reserved(refused: [3], full: [])
            )
            #expect(try await ask(0, "home") == granted)
            #expect(try await ask(1, "home") == refused)
            #expect(try await ask(2, "email") == granted)
            #expect(try await ask(3, "detail") == refused)
        }
    }

    @Test(
        "counters are whole only once they are said to be, for as far back as they are; then they are with what was shown"
    )
    func whole() async throws {
        try await withRedis { redis in
            let (counters, ids) = (Self.counters(redis), try await Self.ids(redis, 5))
            func ask(_ index: Int, _ window: Duration = Self.day) async throws -> CapOutcome {
                let cap = CapReservation.Cap(maximum: 1, window: window, isOfSurface: false)
                let reservation = Self.reservation(ids[index], [1, 2], caps: [cap], isWhole: true)
                return try await counters.reserve(reservation, tenant: .default)
            }
            #expect(try await ask(0) == .incomplete)
            let shown = ShownItem(number: 1, recommendationID: ids[4], surface: "home")
            try await counters.confirm([id("ann"): [shown]], keeping: Self.day, tenant: .default)
            #expect(try await ask(0) == .incomplete)
            let now = Self.milliseconds(of: ids[0])
            var many: [ShownItem] = []
            for index in 0..<1_200 where index % 600 != 1 {
                let id = Self.recommendation(at: now - Int64(index), 200)
                many.append(ShownItem(number: UInt32(1 + index % 600), recommendationID: id, surface: "home"))
            }
            for _ in 0..<2 {
                try await counters.complete(many, of: id("ann"), covering: Self.day, tenant: .default)
            }
            #expect(try await ask(0) == .reserved(refused: [1], full: []))
            #expect(try await ask(1, .seconds(2 * 86_400)) == .incomplete)
            try await counters.forget(id("ann"), tenant: .default)
            #expect(try await ask(2) == .incomplete)
            try await counters.complete([], of: id("ann"), covering: Self.day, tenant: .default)
            #expect(try await ask(3) == .reserved(refused: [], full: []))
        }
    }

    @Test("nothing is kept longer than it counts, nor more than so much of a user")
    func bounds() async throws {
        try await withRedis { redis in
            let counters = Self.counters(redis)
            let name = String(decoding: redis.namespace.shownKey(id("ann"), tenant: .default), as: UTF8.self)
            let ids = try await Self.ids(redis, 120)
            _ = try await counters.reserve(Self.reservation(ids[0], [1]), tenant: .default)
            #expect((500_000...600_000).contains(try await redis.timeToLive(name)))
            let shown = ShownItem(number: 1, recommendationID: ids[0], surface: "home")
            try await counters.confirm([id("ann"): [shown]], keeping: Self.day, tenant: .default)
            #expect((86_000_000...86_400_000).contains(try await redis.timeToLive(name)))
            // A hundred entries of an item: the most that a cap can ask for.
            let often = (0..<120).map { ShownItem(number: 2, recommendationID: ids[$0], surface: "home") }
            try await counters.confirm([id("ann"): often], keeping: Self.day, tenant: .default)
            #expect(try await redis.send("HSTRLEN", name, "2").integer() == 100 * 29)
            for index in 1..<60 {
                let items = (0..<100).map { UInt32(1_000 + 100 * index + $0) }
                let outcome = try await counters.reserve(Self.reservation(ids[index], items), tenant: .default)
                #expect(outcome == .reserved(refused: [], full: []))
                #expect(try await redis.send("HLEN", name).integer() <= Int64(FrequencyScripts.itemLimit + 1))
            }
            // The newest are there still.
            let last = Self.reservation(ids[119], [UInt32(1_000 + 100 * 59)])
            #expect(try await counters.reserve(last, tenant: .default) == .reserved(refused: [6_900], full: []))
        }
    }

    @Test("no two users are one, whatever they and their tenants are called; all of a user is in one slot")
    func hostile() async throws {
        try await withRedis { redis in
            let counters = Self.counters(redis)
            let names = [
                "a", "a/b", "b", "}{", "{a}", "a}", "%61", "*", "caf\u{E9}", "cafe\u{301}", "a b", "shown:a", "\"'",
                String(repeating: "x", count: 128),
            ]
            var keys: Set<[UInt8]> = []
            let ids = try await Self.ids(redis, 2)
            for tenant in names {
                for user in names {
                    let key = redis.namespace.shownKey(id(user), tenant: id(tenant))
                    #expect(keys.insert(key).inserted)
                    let cached = redis.key(user, owner: tenant).bytes
                    func tag(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
                        bytes.drop { $0 != UInt8(ascii: "{") }.prefix { $0 != UInt8(ascii: "}") }
                    }
                    #expect(tag(key) == tag(cached), "the slot of the user's lists")
                    #expect(key != redis.namespace.sessionKey(id(user), tenant: id(tenant)))
                    let reservation = Self.reservation(ids[0], [1], user: user)
                    #expect(
                        try await counters.reserve(reservation, tenant: id(tenant)) == .reserved(refused: [], full: [])
                    )
                }
            }
            for tenant in names {
                for user in names {
                    let again = Self.reservation(ids[1], [1], user: user)
                    #expect(try await counters.reserve(again, tenant: id(tenant)) == .reserved(refused: [1], full: []))
                }
            }
        }
    }

    @Test("what somebody else has written under the key is nothing, and is written over")
    func foreign() async throws {
        try await withRedis { redis in
            let (counters, ids) = (Self.counters(redis), try await Self.ids(redis, 3))
            let name = String(decoding: redis.namespace.shownKey(id("ann"), tenant: .default), as: UTF8.self)
            try await redis.send("SET", name, "nonsense")
            #expect(
                try await counters.reserve(Self.reservation(ids[0], [1]), tenant: .default)
                    == .reserved(refused: [], full: [])
            )
            for value in ["", "nonsense", String(repeating: "x", count: 58)] {
                try await redis.send("HSET", name, "1", value, "since", value)
                var reservation = Self.reservation(ids[1], [1])
                #expect(
                    try await counters.reserve(reservation, tenant: .default) == .reserved(refused: [], full: [])
                )
                reservation.isWhole = true
                #expect(try await counters.reserve(reservation, tenant: .default) == .incomplete)
            }
        }
    }

    @Test("8 clients ask 1,000 times each, all for one user: nothing is granted a fourth time")
    func parallel() async throws {
        try await withRedis { redis in
            let counters = Self.counters(redis)
            let cap = CapReservation.Cap(maximum: 3, window: Self.day, isOfSurface: false)
            let now = try await redis.now()
            let granted = try await withThrowingTaskGroup(of: [UInt32: Int].self) { group in
                for client in 0..<8 {
                    group.addTask {
                        var counts: [UInt32: Int] = [:]
                        for number in 0..<1_000 {
                            var id = Self.recommendation(at: now, UInt8(client))
                            id[13] = UInt8(number >> 8)
                            id[14] = UInt8(number & 255)
                            let items = (0..<10).map { UInt32((number * 7 + $0 * (client + 1)) % 500) }
                            let chosen = Array(Set(items))
                            let reservation = Self.reservation(id, chosen, caps: [cap])
                            let outcome = try await counters.reserve(reservation, tenant: .default)
                            guard case .reserved(let refused, _) = outcome else { continue }
                            for item in chosen where !refused.contains(item) { counts[item, default: 0] += 1 }
                        }
                        return counts
                    }
                }
                return try await group.reduce(into: [UInt32: Int]()) { $0.merge($1, uniquingKeysWith: +) }
            }
            #expect(granted.count == 500)
            #expect(granted.values.allSatisfy { $0 == 3 })
        }
    }

    @Test("a Redis that is gone is told")
    func away() async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server, commandTimeout: .milliseconds(100)) { redis in
                let (counters, ids) = (Self.counters(redis), try await Self.ids(redis, 1))
                try await server.stop()
                await #expect(throws: RepositoryError.self) {
                    try await counters.reserve(Self.reservation(ids[0], [1]), tenant: .default)
                }
                await #expect(throws: RepositoryError.self) {
                    try await counters.confirm([id("ann"): []], keeping: Self.day, tenant: .default)
                }
            }
        }
    }
}
