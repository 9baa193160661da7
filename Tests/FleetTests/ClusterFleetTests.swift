import Foundation
import LocalServers
import Testing

/// Nodes on a Redis Cluster of three primaries, each with a replica.
@Suite("A fleet on a cluster", .serialized)
struct ClusterFleetTests {
    /// Of `vireo:bus`.
    private static let busSlot = 10_573

    @Test("the primary that carries the bus is killed under load: nothing stale, nothing lost")
    func primaryKilled() async throws {
        try await Self.failedOver("SIGKILL") { before, _ in try await before.kill() }
    }

    @Test(
        "slots move under load, the bus's among them: nothing stale, nothing lost; feedback, dead letters and doctor work"
    )
    func moved() async throws {
        try await Self.with { fleet, servers in
            for number in 1...60 { _ = try await fleet.slate(0, user: String(format: "u%06d", number)) }
            let slots = try await Self.usedSlots(servers)
            #expect(slots.count > 10)
            let took = try await fleet.checked(seconds: 9) {
                let begin = ContinuousClock.now
                for (index, slot) in ([Self.busSlot] + slots.prefix(30)).enumerated() {
                    let owner = try #require(await servers.primary(of: slot))
                    let others = servers.servers.prefix(3).filter { $0.port != owner.port }
                    let refusal = await servers.move(slot: slot, to: others[index % others.count])
                    #expect(refusal == nil)
                }
                try await Self.untilLeased(fleet)
                return ContinuousClock.now - begin
            }
            print("31 slots moved in \(took)")
            try await Self.streams(fleet, servers)
            try await Self.sessions(fleet)
            try await Self.caps(fleet)
            let doctor = try await Vireo.run(["doctor"], fleet.environment).output
            #expect(doctor.contains("ok\tredis\tthe cluster is whole: 3 primaries with slots, 6 nodes"), "\(doctor)")
            #expect(
                doctor.contains("ok\tredis\tcluster-node-timeout 2000: the bound is 1000 ms, and 3000 ms"),
                "\(doctor)"
            )
        }
    }

    /// Sessions are kept whatever their slot.
    private static func sessions(_ fleet: Fleet) async throws {
        for number in 0..<12 {
            let (session, item) = ("visit-\(number)", String(format: "i%06d", 40 + number))
            try await fleet.record(number % 2, session: session, user: "anon-\(number)", item: item)
            let answer = try await fleet.session(1 - number % 2, session: session)
            #expect(answer.seeds == [item] && answer.degraded.isEmpty)
        }
    }

    /// What is shown to users is counted whatever their slot, by whichever node it is shown.
    private static func caps(_ fleet: Fleet) async throws {
        let policy = "/v1/admin/policies/p8"
        let document = #"{"frequency_caps":[{"max":1,"per":"1h"}]}"#
        #expect(try await fleet.admin(0).send("PUT", policy, body: document).status == 200)
        #expect(try await fleet.admin(0).post("\(policy):activate?wait=all", "{}").status == 200)
        for number in 1...12 {
            let user = String(format: "u%06d", number)
            let first = try await fleet.slate(number % 3, user: user, limit: 10)
            let second = try await fleet.slate((number + 1) % 3, user: user, limit: 10)
            #expect(first.ids.count == 10 && second.ids.count == 10)
            #expect(Set(first.ids).isDisjoint(with: second.ids))
            #expect(first.degraded.isEmpty && second.degraded.isEmpty, "\(first.degraded) \(second.degraded)")
        }
    }

    /// One event is stored and counts, another is put among the dead.
    private static func streams(_ fleet: Fleet, _ servers: LocalClusterServers) async throws {
        let user = "u000009"
        let item = try #require(try await fleet.slate(0, user: user).ids.first)
        let event = #"{"event_id":"c-1","user_id":"\#(user)","item_id":"\#(item)","type":"purchase"}"#
        let stream = "vireo:feedback:stream:default"
        for text in [event, "nonsense"] {
            var isTaken = false
            for server in servers.servers where !isTaken {
                isTaken = try await RedisCommandLine.send(["XADD", stream, "*", "event", text], port: server.port)
                    .hasPrefix("$")
            }
            #expect(isTaken)
        }
        try await eventually("what was bought leaves the list everywhere", within: 15) {
            try await fleet.everywhere { node in
                try await !fleet.slate(node, user: user).ids.contains(item)
            }
        }
        try await eventually("what is wrong is among the dead", within: 15) {
            for server in servers.servers {
                let dead = try await RedisCommandLine.send(["XLEN", "{\(stream)}:dead"], port: server.port)
                if dead.hasPrefix(":1\r\n") { return true }
            }
            return false
        }
    }

    // MARK: Support

    /// Writes and reads while the primary that carries the bus loses its slots to its replica.
    ///
    /// - Parameters:
    ///   - fault: Takes that primary.
    ///   - then: What comes as soon as another has its slots.
    static func failedOver(
        _ what: String,
        seconds: Int = 9,
        _ fault: @escaping @Sendable (LocalRedisServer, LocalClusterServers) async throws -> Void,
        then: @escaping @Sendable (LocalRedisServer) async throws -> Void = { _ in }
    ) async throws {
        try await Self.with { fleet, servers in
            let before = try #require(await servers.primary(of: Self.busSlot))
            let recovery = try await fleet.checked(seconds: seconds) {
                let begin = ContinuousClock.now
                try await fault(before, servers)
                try await eventually("another has its slots", within: 60) {
                    let now = await servers.primary(of: Self.busSlot)
                    return now != nil && now?.port != before.port
                }
                try await then(before)
                try await Self.untilLeased(fleet)
                return ContinuousClock.now - begin
            }
            print("until every node had its lease from another primary, after \(what) of the bus's: \(recovery)")
        }
    }

    private static func with(
        _ body: @escaping @Sendable (Fleet, LocalClusterServers) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-cluster")
        let servers = try await LocalClusterServers.start(directory: directory)
        let outcome: Result<Void, any Error>
        do {
            try await Fleet.with(nodes: 3, settings: ["VIREO_REDIS_URL": servers.url]) { fleet in
                try await body(fleet, servers)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await servers.stop()
        if case .success = outcome { try ScratchDirectory.remove(directory) }
        try outcome.get()
    }

    /// Every node has its lease from the bus.
    private static func untilLeased(_ fleet: Fleet) async throws {
        try await eventually("every node has its lease from the bus", within: 60) {
            try await fleet.isLeasedEverywhere()
        }
    }

    /// Slots in which users' entries are.
    private static func usedSlots(_ servers: LocalClusterServers) async throws -> [Int] {
        var slots: Set<Int> = []
        for server in servers.servers.prefix(3) {
            let keys = try await RedisCommandLine.send(["KEYS", "vireo:*/u*}"], port: server.port)
            for key in keys.split(separator: "\r\n") where key.hasPrefix("vireo:") {
                let answer = try await RedisCommandLine.send(["CLUSTER", "KEYSLOT", String(key)], port: server.port)
                if let slot = Int(answer.dropFirst().prefix { $0.isNumber }) { slots.insert(slot) }
            }
        }
        return slots.sorted()
    }
}
