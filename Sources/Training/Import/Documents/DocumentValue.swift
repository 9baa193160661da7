/// The value of a field as a file has it.
enum DocumentValue: Equatable, Sendable {
    case bool(Bool)
    /// A JSON number, as written.
    case number(String)
    case string(String)
    case array([DocumentValue])
    case object([Member])
    /// A cell of a CSV file, which may be any of the others: UTF-8 without NUL, not empty.
    case cell(String)

    struct Member: Equatable, Sendable {
        var name: String
        var value: DocumentValue
    }
}

/// The kind of documents a file holds.
package enum DocumentKind: String, CaseIterable, Sendable {
    case items, users, feedback

    var fields: [String] {
        switch self {
        case .items: ItemDocument.fields
        case .users: UserDocument.fields
        case .feedback: FeedbackDocument.fields
        }
    }
}
