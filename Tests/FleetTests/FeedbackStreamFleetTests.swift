import Foundation
import Glibc
import LocalServers
import Testing

/// Feedback over a Redis stream ends in PostgreSQL once, whatever dies on the way.
@Suite("Feedback over streams", .serialized)
struct FeedbackStreamFleetTests {
    private static let stream = "vireo:feedback:stream:default"

    @Test("PostgreSQL away, a node killed, events sent twice, nonsense among them: one row for each event")
    func once() async throws { try await Self.once(away: .seconds(2)) }

    /// - Parameter away: How long there is no PostgreSQL, while events go on to come.
    static func once(away: Duration) async throws {
        try await Fleet.with(nodes: 3, settings: ["VIREO_FEEDBACK_RECLAIM_MS": "1000"]) { fleet in
            try await Self.add((0..<200).map(Self.event) + (150..<200).map(Self.event), fleet)
            try await eventually("the first events are stored", within: 10) { try await Self.stored(200, fleet) }
            try await fleet.postgres.kill()
            try await Self.add((150..<500).map(Self.event) + ["nonsense", #"{"event_id":"s1"}"#], fleet)
            try await Task.sleep(for: away)
            // It has entries pending that nobody will acknowledge for it.
            #expect(kill(fleet.nodes[2].pid, SIGKILL) == 0)
            try await Self.add((400..<600).map(Self.event), fleet)
            try await fleet.postgres.restart()
            try await eventually("all events are stored", within: 20) { try await Self.stored(600, fleet) }
            try await eventually("nothing is pending", within: 10) {
                try await RedisCommandLine.send(["XPENDING", Self.stream, "vireo"], port: fleet.redis.port)
                    .hasPrefix("*4\r\n:0\r\n")
            }
            // Only what is wrong in itself.
            let dead = try await RedisCommandLine.send(["XLEN", "\(Self.stream):dead"], port: fleet.redis.port)
            #expect(dead.hasPrefix(":2\r\n"), "\(dead)")
            try await eventually("the nodes say so", within: 10) {
                var dead = 0
                for node in 0..<2 {
                    let metrics = try await RawHTTP(port: fleet.nodes[node].adminPort).get("/metrics").body
                    guard metrics.contains("vireo_feedback_stream_pending 0") else { return false }
                    dead += Self.value(#"vireo_feedback_stream_total{result="dead"}"#, metrics)
                }
                return dead <= 2
            }
            // It counts for lists as any other event does.
            let user = "u000007"
            let item = try #require(try await fleet.slate(0, user: user).ids.first)
            try await Self.add([Self.event(user, item, "s-last")], fleet)
            try await eventually("what was bought leaves the list on both nodes", within: 10) {
                for node in 0..<2 {
                    guard !(try await fleet.slate(node, user: user).ids.contains(item)) else { return false }
                }
                return true
            }
        }
    }

    private static func event(_ number: Int) -> String {
        let user = String(format: "u%06d", 1 + number % 200)
        let item = String(format: "i%06d", 1 + number % 150)
        return self.event(user, item, "s-\(number)")
    }

    private static func event(_ user: String, _ item: String, _ id: String) -> String {
        #"{"event_id":"\#(id)","user_id":"\#(user)","item_id":"\#(item)","type":"purchase"}"#
    }

    private static func add(_ events: [String], _ fleet: Fleet) async throws {
        _ = try await RedisCommandLine.send(
            events.map { ["XADD", Self.stream, "*", "event", $0] },
            port: fleet.redis.port
        )
    }

    /// Whether there is one row for each of the first so many events, and none for any other.
    private static func stored(_ count: Int, _ fleet: Fleet) async throws -> Bool {
        try await fleet.sql(
            """
            DO $$ BEGIN
                ASSERT (SELECT count(*) FROM interactions WHERE event_id LIKE 's-%') = \(count);
                ASSERT (SELECT count(DISTINCT event_id) FROM interactions WHERE event_id LIKE 's-%') = \(count);
            END $$
            """
        )
        return true
    }

    private static func value(_ name: String, _ metrics: String) -> Int {
        let line = metrics.split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? 0
    }
}

extension RedisCommandLine {
    /// Some commands over one connection, in order.
    static func send(_ commands: [[String]], port: Int) async throws -> String {
        let bytes = (commands + [["QUIT"]]).map { words in
            "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        }
        return String(decoding: try await RawHTTP(port: port).exchange(Array(bytes.joined().utf8)), as: UTF8.self)
    }
}
