import Foundation

/// A list for a session.
struct SessionAnswer: Decodable, Sendable {
    struct Place: Decodable, Sendable {
        struct Explanation: Decodable, Sendable {
            let seed_items: [String]
        }

        let item_id: String
        let explanation: Explanation
    }

    struct Filtered: Decodable, Sendable {
        let seen: Int
    }

    let user_id: String?
    let items: [Place]
    let fallback: String?
    let degraded: [String]
    let filtered: Filtered

    var ids: [String] { self.items.map(\.item_id) }
    /// What explains the places.
    var seeds: Set<String> { Set(self.items.flatMap(\.explanation.seed_items)) }
}

extension Fleet {
    /// A list for a session, of twenty items.
    ///
    /// - Parameter events: JSON.
    func session(
        _ node: Int,
        session: String?,
        user: String? = nil,
        events: String = "[]"
    ) async throws -> SessionAnswer {
        func text(_ id: String?) throws -> String {
            try id.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) } ?? "null"
        }
        let body =
            #"{"session_id":\#(try text(session)),"user_id":\#(try text(user)),"events":\#(events),"limit":20}"#
        let response = try await self.app(node).post("/v1/sessions:recommend", body)
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: SessionAnswer.self)
    }

    /// An event of a session.
    func record(_ node: Int, session: String, user: String, item: String, type: String = "click") async throws {
        let body = try JSONEncoder().encode(["session_id": session, "user_id": user, "item_id": item, "type": type])
        let response = try await self.app(node).post("/v1/feedback", String(decoding: body, as: UTF8.self))
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
    }
}
