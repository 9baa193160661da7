import Foundation
import Testing

/// Bounds on the calls in progress of a node.
@Suite("Fleet that sheds", .serialized)
struct ShedFleetTests {
    @Test("writes that PostgreSQL does not answer fill their own class: more are refused at once, and lists go on")
    func silentWrites() async throws {
        let settings = ["VIREO_WRITE_LIMIT": "2", "VIREO_DEADLINE_MS": "8000"]
        try await Fleet.with(nodes: 1, linked: true, settings: settings) { fleet in
            let user = "u000030"
            let admin = RawHTTP(port: fleet.nodes[0].adminPort)
            @Sendable func write(_ number: Int) async throws -> RawHTTP.Response {
                let event = #"{"event_id":"shed-\#(number)","user_id":"u000031","item_id":"i000001","type":"view"}"#
                return try await fleet.app(0).post("/v1/feedback", event)
            }
            #expect(try await fleet.slate(0, user: user).items.isEmpty == false)
            try await fleet.nodes[0].links?.postgres.set(.silent)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<2 { group.addTask { try await write(number).status } }
                let places = #"vireo_http_calls_in_progress{class="write"} 2"#
                try await eventually("both have their places", within: 4) {
                    try await admin.get("/metrics").body.contains(places)
                }
                for number in 2..<5 {
                    let refused = try await write(number)
                    #expect(refused.status == 503 && refused.body.contains("\"overloaded\""))
                    #expect(refused.headers["retry-after"] == "1")
                    let hit = try await fleet.slate(0, user: user)
                    #expect(hit.served_from.tier == "l1" && !hit.items.isEmpty)
                    let list = try await fleet.app(0).get("/v1/lists/popular?limit=5")
                    #expect(list.status == 200)
                }
                #expect(try await admin.get("/metrics").body.contains(places), "nothing waited for them")
                for try await status in group { #expect([503, 504].contains(status), "nothing is acknowledged") }
            }
            let metrics = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
            #expect(metrics.contains(#"vireo_http_calls_refused_total{class="write"}"#))
            try await fleet.nodes[0].links?.postgres.set(.none)
            try await eventually("writes are taken again", within: 20) {
                try await fleet.feedback(0, user: user, item: "i000001", event: "back").accepted >= 0
            }
        }
    }
}
