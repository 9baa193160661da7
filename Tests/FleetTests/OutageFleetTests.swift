import Foundation
import Glibc
import LocalServers
import Testing

@Suite("Fleet without a store", .serialized)
struct OutageFleetTests {
    @Test("Redis killed: answers go on and say degraded, writes are durable and seen, and it heals")
    func redisKilled() async throws {
        try await Fleet.with { fleet in
            let user = "u000020"
            for node in 0...1 { _ = try await fleet.slate(node, user: user) }
            try await fleet.redis.kill()
            for node in 0...1 {
                let slate = try await fleet.slate(node, user: user)
                #expect(!slate.items.isEmpty)
            }
            // Nodes follow the journal in PostgreSQL by now.
            try await eventually("answers say degraded", within: 5) {
                try await fleet.everywhere { node in
                    try await fleet.slate(node, user: "u000021").degraded.contains("redis")
                }
            }
            let item = try #require(try await fleet.slate(0, user: user).ids.first)
            let written = try await fleet.feedback(0, user: user, item: item, event: "down-1")
            #expect(written.accepted == 1)
            #expect(!written.propagated, "nobody could tell the other nodes")
            #expect(try await !fleet.slate(0, user: user).ids.contains(item), "at once on the node that took it")
            // The other one reads it in the journal, within its lease.
            try await Task.sleep(for: .seconds(1))
            #expect(try await !fleet.slate(1, user: user).ids.contains(item), "bought while Redis was down")
            #expect(try await RawHTTP(port: fleet.nodes[0].adminPort).get("/readyz").body.contains("redis"))
            try await fleet.redis.restart(empty: true)
            try await eventually("nodes cache again", within: 20) {
                for node in 0...1 {
                    let slate = try await fleet.slate(node, user: user)
                    guard slate.served_from.tier == "l1", slate.degraded.isEmpty, !slate.ids.contains(item) else {
                        return false
                    }
                }
                return true
            }
            let next = try #require(try await fleet.slate(1, user: user).ids.first)
            let after = try await fleet.feedback(1, user: user, item: next, event: "up-1")
            #expect(after.propagated)
            #expect(after.user_version > written.user_version)
        }
    }

    @Test("PostgreSQL killed: hits go on, feedback is 503, and nothing acknowledged is lost")
    func postgresKilled() async throws {
        try await Fleet.with { fleet in
            // fsync is off in tests; a killed postmaster loses nothing, only a killed machine would.
            let user = "u000030"
            for node in 0...1 { _ = try await fleet.slate(node, user: user) }
            var acknowledged: [String] = []
            for number in 0..<50 {
                try await fleet.feedback(
                    number % 2,
                    user: "u000031",
                    item: "i000005",
                    type: "view",
                    event: "ack-\(number)"
                )
                acknowledged.append("ack-\(number)")
            }
            try await fleet.postgres.kill()
            for node in 0...1 {
                let hit = try await fleet.slate(node, user: user)
                #expect(hit.served_from.tier == "l1")
                #expect(!hit.items.isEmpty)
                let response = try await fleet.app(node).post(
                    "/v1/feedback",
                    #"{"event_id":"lost-\#(node)","user_id":"\#(user)","item_id":"i000001","type":"purchase"}"#
                )
                #expect(response.status == 503)
                #expect(response.headers["retry-after"] != nil)
                #expect(response.headers["content-type"] == "application/problem+json")
                let miss = try await fleet.slate(node, user: "u000299")
                #expect(miss.fallback == "popular")
            }
            try await fleet.postgres.restart()
            try await eventually("feedback is taken again", within: 20) {
                try await fleet.feedback(0, user: user, item: "i000001", event: "back").accepted >= 0
            }
            let list = acknowledged.map { "'\($0)'" }.joined(separator: ",")
            try await fleet.sql(
                "DO $$ BEGIN ASSERT (SELECT count(*) FROM interactions WHERE event_id IN (\(list))) = 50; END $$"
            )
        }
    }

    @Test("PostgreSQL takes connections and says nothing: hits go on, others get what everybody gets, in time")
    func postgresSilent() async throws {
        try await Fleet.with(linked: true) { fleet in
            let user = "u000030"
            for node in 0...1 { _ = try await fleet.slate(node, user: user) }
            for node in fleet.nodes { try await node.links?.postgres.set(.silent) }
            try await eventually("who has no cached list gets what everybody gets", within: 5) {
                try await fleet.slate(0, user: "u000298").fallback == "popular"
            }
            // More than compute at once.
            try await withThrowingTaskGroup(of: Slate.self) { group in
                for number in 100..<220 {
                    group.addTask { try await fleet.slate(number % 2, user: String(format: "u%06d", number)) }
                }
                for try await slate in group { #expect(slate.fallback == "popular" && !slate.items.isEmpty) }
            }
            for node in 0...1 {
                #expect(try await fleet.slate(node, user: user).served_from.tier == "l1")
                try await fleet.nodes[node].links?.postgres.set(.none)
            }
            try await eventually("lists are computed again", within: 20) {
                try await fleet.everywhere { try await fleet.slate($0, user: "u000298").fallback == nil }
            }
        }
    }

    @Test("a node killed in the middle of writes loses nothing it acknowledged, and the other tells everyone")
    func nodeKilled() async throws {
        try await Fleet.with { fleet in
            var bought: [String: String] = [:]
            for number in 1...30 {
                let user = "u" + String(format: "%06d", number)
                let item = try #require(try await fleet.slate(1, user: user).ids.first)
                let written = try await fleet.feedback(0, user: user, item: item, event: "kill-\(number)")
                #expect(written.accepted == 1)
                bought[user] = item
            }
            #expect(kill(fleet.nodes[0].pid, SIGKILL) == 0)
            let killed = ContinuousClock.now
            try await eventually("a second has passed", within: 3) { ContinuousClock.now - killed > .seconds(1) }
            for (user, item) in bought {
                #expect(try await !fleet.slate(1, user: user).ids.contains(item))
            }
        }
    }

    @Test("SIGTERM: a client that follows /readyz sees no error, then the node is gone from the list")
    func graceful() async throws {
        try await Fleet.with { fleet in
            let stop = Flag()
            try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    var cut = 0
                    let readiness = RawHTTP(port: fleet.nodes[0].adminPort)
                    while !stop.isSet, !Task.isCancelled {
                        // As a balancer does: what is not ready gets no new requests.
                        guard try await readiness.get("/readyz").status == 200 else { return cut }
                        do {
                            _ = try await fleet.slate(0, user: "u000001")
                        } catch {
                            cut += 1
                        }
                    }
                    return cut
                }
                group.addTask {
                    defer { stop.set() }
                    #expect(kill(fleet.nodes[0].pid, SIGTERM) == 0)
                    try await eventually("the node is off the list", within: 15) {
                        try await !fleet.admin(1).get("/v1/admin/nodes").body.contains(#""id":"n1""#)
                    }
                    return 0
                }
                var cut = 0
                for try await count in group { cut += count }
                #expect(cut == 0, "a request was cut off")
            }
        }
    }
}
