import Foundation
import Testing

/// Records of recommendations on nodes over one Redis and one PostgreSQL, as a stranger sees them.
@Suite("Decision records of a fleet", .serialized)
struct DecisionFleetTests {
    private struct Record: Decodable {
        struct Candidate: Decodable {
            let item_id: String
            let removed_by: String?
        }

        struct Place: Decodable, Equatable {
            let item_id: String
            let score: Float
        }

        struct Replay: Decodable {
            let matches: Bool
            let order: [Place]
        }

        let recommendation_id: String
        let user_id: String?
        let list: String
        let candidates: [Candidate]
        let order: [Place]
        let replay: Replay
    }

    private struct List: Decodable {
        let recommendation_id: String
        let items: [Slate.Place]
    }

    private static let policy =
        #"{"decisions":{"percent":100},"diversity":[{"field":"category","max_per_window":2,"window":5}],"#
        + #""frequency_caps":[{"surface":"email","max":2,"per":"24h"}],"mmr":{"lambda":0.7}}"#

    private static func record(_ list: List, on node: Int, _ fleet: Fleet) async throws -> Record {
        var found: Record?
        try await eventually("the record of \(list.recommendation_id)", within: 5) {
            let response = try await fleet.app(node).get("/v1/decisions/\(list.recommendation_id)")
            guard response.status == 200 else { return false }
            found = try response.json(as: Record.self)
            return true
        }
        return try #require(found)
    }

    @Test(
        "every way to a list leaves a record on every node, which gives the list again; consent taken back takes them"
    )
    func everyWay() async throws {
        try await Fleet.with(nodes: 2) { fleet in
            #expect(try await fleet.admin(0).send("PUT", "/v1/admin/policies/p5", body: Self.policy).status < 300)
            #expect(try await fleet.admin(0).post("/v1/admin/policies/p5:activate?wait=all", "{}").status == 200)
            let user = "u000042"
            let denied = try #require(try await fleet.slate(0, user: user).ids.first)
            let body = #"{"kind":"item","ids":["\#(denied)"]}"#
            #expect(try await fleet.admin(0).post("/v1/admin/tombstones?wait=all", body).status == 200)
            let own = "/v1/recommendations/\(user)"
            let ways: [(path: String, body: String?, list: String)] = [
                (own, nil, "own"), (own, nil, "own"), ("\(own)?surface=email", nil, "own"),
                ("\(own)?surface=email", nil, "own"), ("\(own)?surface=email", nil, "own"),
                ("\(own)?cursor=*", nil, "page"), ("\(own)?exclude=i000007", nil, "own"),
                ("/v1/items/i000003/similar?user_id=\(user)", nil, "similar"),
                ("/v1/lists/popular?user_id=\(user)", nil, "popular"), ("/v1/lists/latest", nil, "latest"),
                (
                    "/v1/sessions:recommend",
                    #"{"user_id":"\#(user)","events":[{"item_id":"i000017","type":"click"}]}"#, "session"
                ),
            ]
            var mine: [String] = []
            for (place, way) in ways.enumerated() {
                let node = place % 2
                let answer =
                    if let body = way.body {
                        try await fleet.app(node).post(way.path, body)
                    } else {
                        try await fleet.app(node).get(way.path)
                    }
                #expect(answer.status == 200, "\(way.path): \(answer.body)")
                let list = try answer.json(as: List.self)
                let record = try await Self.record(list, on: 1 - node, fleet)
                #expect(record.list == way.list && record.order.map(\.item_id) == list.items.map(\.item_id))
                #expect(record.replay.matches && record.replay.order == record.order, "\(way.path)")
                #expect(!record.order.isEmpty)
                if way.list == "own" {
                    #expect(
                        record.candidates.first { $0.item_id == denied }.map { $0.removed_by == "tombstone" } ?? true
                    )
                }
                if record.user_id == user { mine.append(list.recommendation_id) }
            }
            #expect(mine.count == ways.count - 1, "all but the list that named nobody")
            let metrics = try await fleet.admin(0).get("/metrics").body
            #expect(metrics.contains("vireo_decision_mismatches_total 0"))

            let other = RawHTTP(port: fleet.nodes[0].port, key: nil)
            #expect(try await other.get("/v1/decisions/\(mine[0])").status == 401)
            let off = try await fleet.app(0).send(
                "PUT",
                "/v1/users/\(user)/consent",
                body: #"{"personalization":false}"#
            )
            #expect(off.status == 200)
            for id in mine { #expect(try await fleet.app(1).get("/v1/decisions/\(id)").status == 404) }
        }
    }
}
