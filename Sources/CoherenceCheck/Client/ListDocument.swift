import FoundationEssentials
import NIOCore

/// What the checker reads of a list, whoever's it is.
struct ListDocument: Decodable, Sendable {
    struct Place: Decodable, Sendable {
        struct Explanation: Decodable, Sendable {
            let code: String
        }

        let item_id: String
        let explanation: Explanation?
    }

    struct Source: Decodable, Sendable {
        let tier: String
        let age_ms: Int
        let stale: Bool
    }

    let recommendation_id: String?
    let items: [Place]
    let served_from: Source
    let fallback: String?
    let degraded: [String]
    let user_version: Int64
    let model_version: String

    /// Codes of what only a user's history can explain.
    private static let personal: Set = ["because_you_liked", "similar_to_your_history"]

    /// An id in 128 bits (FNV-1a), of which a run keeps millions.
    private static func number(_ id: String) -> UInt128 {
        id.utf8.reduce(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D) { ($0 ^ UInt128($1)) &* (1 << 88 + 0x13B) }
    }

    /// Writes down what it holds, and what it says of itself.
    func fill(_ read: inout Read) {
        read.items = self.items.map { OpaqueID($0.item_id) }
        read.isPersonal = self.items.contains { $0.explanation.map { Self.personal.contains($0.code) } ?? false }
        read.answer = self.recommendation_id.map(Self.number)
        read.isUnverified = self.degraded.contains("unverified")
        read.isControlUnverified = self.degraded.contains("control_unverified")
        read.declared =
            "\(self.served_from.tier), \(self.served_from.age_ms) ms old\(self.served_from.stale ? ", stale" : ""), "
            + "user_version \(self.user_version), \(self.model_version)"
            + (self.fallback.map { ", fallback \($0)" } ?? "")
            + (self.degraded.isEmpty ? "" : ", degraded \(self.degraded.joined(separator: "+"))")
    }
}

/// The answer to `POST /v1/recommendations:batch`.
struct BatchDocument: Decodable, Sendable {
    /// A list or a problem: nil where it is a problem.
    struct Result: Decodable, Sendable {
        let user: String
        let list: ListDocument?

        private enum CodingKeys: String, CodingKey {
            case user_id, problem
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            self.user = try container.decode(String.self, forKey: .user_id)
            self.list = container.contains(.problem) ? nil : try ListDocument(from: decoder)
        }
    }

    let results: [Result]
}

/// What the checker reads of the answer to a write.
struct WriteDocument: Decodable, Sendable {
    let user_version: Int64?
    let propagated: Bool?
    /// Whether every node serves by it, where that was asked.
    let complete: Bool?
}

/// What the checker reads of a user.
struct UserDocument: Decodable, Sendable {
    struct Consent: Decodable, Sendable {
        let personalization: Bool
    }

    let consent: Consent
}

extension ByteBuffer {
    func decoded<Value: Decodable>(as type: Value.Type = Value.self) -> Value? {
        try? JSONDecoder().decode(type, from: Data(self.readableBytesView))
    }
}
