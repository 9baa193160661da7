import Foundation
import LocalServers
import Testing

/// New items in the lists of two nodes, without a new model.
@Suite("New items of a fleet", .serialized)
struct FreshFleetTests {
    private struct Answer: Decodable {
        struct Place: Decodable {
            let item_id: String
            let sources: [String]
        }

        let items: [Place]
        let model_version: String
        let policy_version: String
        let fallback: String?
    }

    private static func ask(_ fleet: Fleet, _ node: Int, _ user: String, limit: Int) async throws -> Answer {
        let response = try await fleet.app(node).get("/v1/recommendations/\(user)?limit=\(limit)")
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: Answer.self)
    }

    private static func activate(_ version: String, _ document: String, _ fleet: Fleet) async throws {
        let put = try await fleet.admin(0).send("PUT", "/v1/admin/policies/\(version)", body: document)
        #expect(put.status == 200, "\(put.body)")
        let activated = try await fleet.admin(0).post("/v1/admin/policies/\(version):activate?wait=all", "{}")
        #expect(activated.status == 200, "\(activated.body)")
    }

    private static let users = (1...40).map { "u" + String(format: "%06d", $0) }

    @Test("a new item enters lists within one refresh, by its categories and by the share that is tried out")
    func enters() async throws {
        try await Fleet.with { fleet in
            try await Self.activate("p7", #"{"ttl":{"soft_s":1,"hard_s":2},"diversity":[]}"#, fleet)
            let before = try await Self.ask(fleet, 0, Self.users[0], limit: 20)
            // Of the categories of what these users have in their lists.
            let shown = try #require(before.items.first?.item_id)
            let item = try await fleet.app(0).get("/v1/items/\(shown)")
            let stored = try #require(
                try JSONSerialization.jsonObject(with: Data(item.body.utf8)) as? [String: Any]
            )
            let categories = try #require(stored["categories"] as? [String])
            let document: [String: Any] = ["title": "Brand new", "categories": categories]
            let body = String(decoding: try JSONSerialization.data(withJSONObject: document), as: UTF8.self)
            let put = try await fleet.app(0).send("PUT", "/v1/items/brand-new", body: body)
            #expect(put.status == 200, "\(put.body)")
            // By content: in some lists, on both nodes, as soon as they are computed again.
            for node in 0...1 {
                try await eventually("it is in a list of node \(node + 1)", within: 5) {
                    for user in Self.users {
                        let answer = try await Self.ask(fleet, node, user, limit: 100)
                        #expect(answer.items.allSatisfy { !$0.sources.contains("exploration") })
                        if let place = answer.items.first(where: { $0.item_id == "brand-new" }) {
                            return place.sources.contains("content") && answer.model_version == before.model_version
                        }
                    }
                    return false
                }
            }

            // By exploration: in short lists, too, and in as many as the share says.
            let odd = try await fleet.app(0).send("PUT", "/v1/items/odd-one", body: #"{"title":"Of no category"}"#)
            #expect(odd.status == 200)
            try await Self.activate(
                "p8",
                #"{"ttl":{"soft_s":1,"hard_s":2},"exploration":{"share":0.05,"max_age_days":1}}"#,
                fleet
            )
            try await eventually("it is tried out", within: 5) {
                try await fleet.everywhere { node in
                    var explored: [String] = []
                    for user in Self.users {
                        let answer = try await Self.ask(fleet, node, user, limit: 10)
                        let places = answer.items.filter { $0.sources.contains("exploration") }
                        #expect(places.count <= 1, "at most a place of ten")
                        explored += places.map(\.item_id)
                    }
                    return explored.contains("odd-one")
                }
            }
            // The demo's items are as new, and in use: those are not tried out where the model knows of it.
            var lists: [[String]] = []
            for user in Self.users {
                let first = try await Self.ask(fleet, 0, user, limit: 10)
                let second = try await Self.ask(fleet, 1, user, limit: 10)
                let explored = [first, second].map { answer in
                    answer.items.filter { $0.sources.contains("exploration") }.map(\.item_id)
                }
                #expect(explored[0] == explored[1], "the same on every node")
                lists.append(explored[0])
            }
            let share = Double(lists.count { !$0.isEmpty }) / Double(lists.count)
            #expect((0.2...0.8).contains(share), "half a place of ten is one for half of the users: \(share)")
        }
    }
}
