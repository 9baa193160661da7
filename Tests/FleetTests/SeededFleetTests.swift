import LocalServers
import Testing

/// Nodes that break one rule of coherence each, in a fleet that is checked from outside: `vireo check` finds it.
@Suite("Seeded bugs, checked", .serialized)
struct SeededFleetTests {
    @Test("floors that are set by min: nothing else has to go wrong")
    func minForMax() async throws {
        try await Fleet.with(nodes: 3, settings: ["VIREO_SEEDED_FAULTS": "minForMax"]) { fleet in
            let outcome = try await fleet.check(fleet.checkKey(), seconds: 3, kinds: "purchase")
            #expect(try outcome.report().violations > 10, "\(outcome.output)")
            #expect(outcome.code == 1)
        }
    }

    @Test("a floor that is missing counts as zero: keys go while nodes are deaf", arguments: [true, false])
    func nilFloorIsZero(isBroken: Bool) async throws {
        let settings = isBroken ? ["VIREO_SEEDED_FAULTS": "nilFloorIsZero"] : [:]
        try await Fleet.with(nodes: 3, settings: settings) { fleet in
            let key = try await fleet.checkKey()
            async let disturbed: Void = Self.deafenAndEvict(fleet)
            let outcome = try await fleet.check(key, seconds: 4, kinds: "purchase", more: ["--min-pairs", "20"])
            try await disturbed
            let report = try outcome.report()
            if isBroken {
                #expect(report.violations > 0, "\(outcome.output)")
            } else {
                #expect(report.violations == 0, "\(outcome.output)")
                #expect(outcome.code == 0, "\(outcome.errors)")
            }
        }
    }

    /// Six seconds in which no subscription lasts, nor any hash of a user.
    private static func deafenAndEvict(_ fleet: Fleet) async throws {
        let evict = "for _, key in ipairs(redis.call('KEYS', 'vireo:*{*')) do redis.call('UNLINK', key) end"
        let end = ContinuousClock.now.advanced(by: .seconds(6))
        while ContinuousClock.now < end {
            _ = try await RedisCommandLine.send(["CLIENT", "KILL", "TYPE", "pubsub"], port: fleet.redis.port)
            _ = try await RedisCommandLine.send(["EVAL", evict, "0"], port: fleet.redis.port)
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
