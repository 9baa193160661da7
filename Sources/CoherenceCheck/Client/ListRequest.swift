import LoadClient

/// A list that is asked for.
enum ListRequest: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case popular, trending, latest
    }

    /// A user's own.
    case own(OpaqueID)
    /// Of many users at once.
    case batch([OpaqueID])
    /// Nobody's, or without what a user has had or does not want.
    case list(Kind, OpaqueID?)
    case similar(OpaqueID, OpaqueID?)

    /// Whose it is; nil where it is nobody's, or of many.
    var user: OpaqueID? {
        switch self {
        case .own(let user): user
        case .batch: nil
        case .list(_, let user), .similar(_, let user): user
        }
    }

    /// Whether a reader may name a version.
    var takesVersion: Bool {
        switch self {
        case .own, .batch: true
        case .list, .similar: false
        }
    }

    /// Whether it is named in a header.
    var takesHeader: Bool { if case .own = self { true } else { false } }

    /// Whether 404 is an answer: nothing is like an item that is denied.
    var mayBeMissing: Bool { if case .similar = self { true } else { false } }

    func request(limit: Int, minimumVersion: Int64) -> OutgoingRequest {
        switch self {
        case .own(let user):
            return OutgoingRequest(target: "/v1/recommendations/\(user.text.percentEncoded)?limit=\(limit)")
        case .batch(let users):
            let requests = users.map { user in
                let minimum = minimumVersion > 0 ? #","min_version":\#(minimumVersion)"# : ""
                return #"{"user_id":\#(JSONWriter.quoted(user.text)),"limit":\#(limit)\#(minimum)}"#
            }
            return OutgoingRequest(
                method: .post,
                target: "/v1/recommendations:batch",
                body: #"{"requests":[\#(requests.joined(separator: ","))]}"#
            )
        case .list(let kind, let user):
            return OutgoingRequest(target: "/v1/lists/\(kind.rawValue)?limit=\(limit)\(Self.parameter(user))")
        case .similar(let item, let user):
            return OutgoingRequest(
                target: "/v1/items/\(item.text.percentEncoded)/similar?limit=\(limit)\(Self.parameter(user))"
            )
        }
    }

    private static func parameter(_ user: OpaqueID?) -> String {
        user.map { "&user_id=\($0.text.percentEncoded)" } ?? ""
    }
}
