import Foundation
import Testing

/// Bounds on the calls in progress of a node.
@Suite("Fleet that sheds", .serialized)
struct ShedFleetTests {
    @Test("writes that PostgreSQL does not answer fill their own class: more are refused at once, and lists go on")
    func silentWrites() async throws {
        try await Fleet.with(nodes: 1, linked: true, settings: ["VIREO_WRITE_LIMIT": "8"]) { fleet in
            let user = "u000030"
            #expect(try await fleet.slate(0, user: user).items.isEmpty == false)
            try await fleet.nodes[0].links?.postgres.set(.silent)
            try await withThrowingTaskGroup(of: (response: RawHTTP.Response, took: Duration).self) { group in
                for number in 0..<40 {
                    group.addTask {
                        let start = ContinuousClock.now
                        let event =
                            #"{"event_id":"shed-\#(number)","user_id":"u000031","item_id":"i000001","type":"view"}"#
                        let response = try await fleet.app(0).post("/v1/feedback", event)
                        return (response, .now - start)
                    }
                }
                // While they are there.
                for _ in 0..<10 {
                    let start = ContinuousClock.now
                    let hit = try await fleet.slate(0, user: user)
                    #expect(hit.served_from.tier == "l1" && !hit.items.isEmpty)
                    let list = try await fleet.app(0).get("/v1/lists/popular?limit=5")
                    #expect(list.status == 200)
                    #expect(ContinuousClock.now - start < .seconds(1))
                }
                var shed = 0
                for try await (response, took) in group {
                    #expect([503, 504].contains(response.status), "nothing is acknowledged")
                    guard response.body.contains("\"overloaded\"") else { continue }
                    shed += 1
                    #expect(response.headers["retry-after"] == "1")
                    #expect(took < .milliseconds(1_500), "at once, not when the others have failed")
                }
                #expect(shed >= 24, "\(shed) of 40, where 8 have places")
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
