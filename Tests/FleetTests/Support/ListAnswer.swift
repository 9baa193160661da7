import Foundation

/// A list that is no user's.
struct ListAnswer: Decodable, Sendable {
    struct Place: Decodable, Sendable {
        let item_id: String
        let score: Double
        let tracking_token: String?
    }

    let recommendation_id: String?
    let items: [Place]
    let user_version: Int64
    let degraded: [String]
    var headers: [String: String] = [:]

    private enum CodingKeys: String, CodingKey {
        case recommendation_id, items, user_version, degraded
    }

    var ids: [String] { self.items.map(\.item_id) }
}

/// One place of a batch: a list or a problem.
struct BatchAnswer: Decodable, Sendable {
    struct Problem: Decodable, Sendable {
        let code: String
        let status: Int
    }

    struct Result: Decodable, Sendable {
        let user_id: String
        let problem: Problem?
        let items: [Slate.Place]?
        let served_from: Slate.Source?
        let user_version: Int64?

        var ids: [String] { (self.items ?? []).map(\.item_id) }
    }

    let results: [Result]
}

extension RawHTTP {
    /// A list; anything but 200 is an error.
    func list(_ target: String) async throws -> ListAnswer {
        let response = try await self.get(target)
        guard response.status == 200 else { throw Failed(description: "\(response.status): \(response.body)") }
        var list = try response.json(as: ListAnswer.self)
        list.headers = response.headers
        return list
    }

    /// The status of a GET under a condition.
    func status(_ target: String, ifNoneMatch tag: String) async throws -> Int {
        let request =
            "GET \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \(self.key ?? "")\r\n"
            + "If-None-Match: \(tag)\r\n\r\n"
        let answer = String(decoding: try await self.exchange(Array(request.utf8)), as: UTF8.self)
        return Int(answer.split(separator: " ").dropFirst().first ?? "") ?? 0
    }
}

extension Fleet {
    func batch(_ index: Int, _ requests: [String]) async throws -> [BatchAnswer.Result] {
        let body = #"{"requests":[\#(requests.joined(separator: ","))]}"#
        let response = try await self.app(index).post("/v1/recommendations:batch", body)
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: BatchAnswer.self).results
    }

    func tombstone(_ item: String) async throws {
        let response = try await self.admin(0).post(
            "/v1/admin/tombstones",
            #"{"kind":"item","ids":["\#(item)"],"reason":"legal","expires_at":null}"#
        )
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
    }

    /// A key of another tenant that has items and a model of its own, once every node knows it.
    func otherTenant(items: Int) async throws -> String {
        try await Vireo.succeed(
            [
                "demo-data", "--tenant", "other", "--users", "50", "--items", "\(items)", "--interactions", "2000",
                "--seed", "9",
            ],
            self.environment
        )
        try await Vireo.succeed(["train", "--tenant", "other", "--activate"], self.environment)
        let key = try await Vireo.succeed(
            ["keys", "create", "--tenant", "other", "--scopes", "read,write"],
            self.environment
        )
        try await eventually("the other tenant is served everywhere", within: 20) {
            try await self.everywhere { node in
                let response = try await RawHTTP(port: self.nodes[node].port, key: key).get("/v1/lists/popular")
                return response.status == 200
            }
        }
        return key
    }
}
