import Foundation
import LocalServers
import Synchronization
import Testing

/// Redis goes away and comes back: nodes follow the journal in PostgreSQL meanwhile.
@Suite("Fleet that follows the journal", .serialized)
struct JournalFleetTests {
    @Test(
        "Redis killed under load and back empty: hits go on from L1, writes are gone on the other node within the lease"
    )
    func killed() async throws {
        try await Fleet.with { fleet in
            let writers = (1...8).map { "u" + String(format: "%06d", $0) }
            let readers = (21...40).map { "u" + String(format: "%06d", $0) }
            for node in 0...1 {
                for user in writers + readers {
                    try await eventually("\(user) is in L1 of node \(node + 1)", within: 10) {
                        try await fleet.slate(node, user: user).served_from.tier == "l1"
                    }
                }
            }
            let swept = try await Self.sum(fleet, #"vireo_cache_verified_total{by="sweep",cache="pool",tier="l1"}"#)
            let stop = Flag()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for node in 0...1 {
                    group.addTask {
                        var answers = 0
                        while !stop.isSet, !Task.isCancelled {
                            let slate = try await fleet.slate(node, user: readers[answers % readers.count])
                            #expect(slate.served_from.tier == "l1", "\(slate.user_id) on node \(node + 1)")
                            #expect(!slate.degraded.contains("unverified"))
                            answers += 1
                        }
                        return answers
                    }
                }
                group.addTask {
                    defer { stop.set() }
                    // What L1 took from L2 since the last heartbeat goes with the connection: two heartbeats.
                    try await Task.sleep(for: .milliseconds(600))
                    try await fleet.redis.kill()
                    for round in 0..<2 { try await Self.writeAndRead(fleet, writers, "down-\(round)") }
                    try await fleet.redis.restart(empty: true)
                    try await Self.writeAndRead(fleet, writers, "back")
                    try await eventually("nobody misses Redis", within: 20) {
                        try await fleet.everywhere { try await fleet.slate($0, user: readers[0]).degraded.isEmpty }
                    }
                    try await Self.writeAndRead(fleet, writers, "up")
                    return 0
                }
                var total = 0
                for try await answers in group { total += answers }
                #expect(total > 100)
            }
            #expect(try await Self.sum(fleet, #"vireo_journal_polls_total{result="applied"}"#) > 0)
            #expect(try await Self.sum(fleet, "vireo_journal_rows_total") > 0)
            // One stamp from before the loss until after the return: nothing was verified anew for a session's sake.
            #expect(
                try await Self.sum(fleet, #"vireo_cache_verified_total{by="sweep",cache="pool",tier="l1"}"#) == swept
            )
            try await eventually("the bus proves the nodes again", within: 10) {
                try await Self.sum(fleet, #"vireo_lease_live{proof="bus"}"#) == 2
            }
        }
    }

    @Test("a node that is started while Redis is away keeps lists in L1, and drops them when others write")
    func startedWithout() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            try await fleet.redis.kill()
            let port = try FreePort.find()
            let adminPort = try FreePort.find()
            var variables: [String: String?] = fleet.environment
            variables["VIREO_HTTP_PORT"] = "\(port)"
            variables["VIREO_ADMIN_PORT"] = "\(adminPort)"
            variables["VIREO_NODE_ID"] = "late"
            let environment = variables
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    _ = try await ChildProcess.run(
                        Vireo.path,
                        arguments: ["serve"],
                        environment: environment,
                        log: "\(fleet.directory)/late.log"
                    ) { _ in }
                }
                try await eventually("it is ready", within: 30) {
                    try await RawHTTP(port: adminPort).get("/readyz").status == 200
                }
                let late = RawHTTP(port: port, key: fleet.keys.app)
                let target = "/v1/recommendations/u000020?limit=20"
                try await eventually("its own list is in L1", within: 10) {
                    try await late.get(target).json(as: Slate.self).served_from.tier == "l1"
                }
                let bought = try #require(try await late.get(target).json(as: Slate.self).ids.first)
                try await fleet.feedback(0, user: "u000020", item: bought, event: "late-1")
                try await Task.sleep(for: .seconds(1))
                #expect(try await !late.get(target).json(as: Slate.self).ids.contains(bought))
                group.cancelAll()
                do { try await group.waitForAll() } catch is LocalServerError {}
            }
        }
    }

    /// Buys the first item of each list on one node; a lease later no list of the other holds it, nor at once one of the same.
    private static func writeAndRead(_ fleet: Fleet, _ users: [String], _ event: String) async throws {
        var bought: [(user: String, item: String, node: Int)] = []
        for (number, user) in users.enumerated() {
            let node = number % 2
            let item = try #require(try await fleet.slate(node, user: user).ids.first)
            let written = try await fleet.feedback(node, user: user, item: item, event: "\(event)-\(number)")
            #expect(written.accepted == 1)
            #expect(try await !fleet.slate(node, user: user).ids.contains(item), "\(user) on the node that took it")
            bought.append((user, item, 1 - node))
        }
        try await Task.sleep(for: .seconds(1))
        for (user, item, node) in bought {
            let slate = try await fleet.slate(node, user: user)
            #expect(!slate.ids.contains(item), "\(user) on node \(node + 1), \(event), from \(slate.served_from.tier)")
        }
    }

    /// A sample of both nodes together.
    private static func sum(_ fleet: Fleet, _ sample: String) async throws -> Double {
        var sum = 0.0
        for node in fleet.nodes {
            let lines = try await RawHTTP(port: node.adminPort).get("/metrics").body.split(separator: "\n")
            let line = try #require(lines.first { $0.hasPrefix(sample + " ") }, "\(sample)")
            sum += try #require(Double(line.dropFirst(sample.count + 1)))
        }
        return sum
    }
}
