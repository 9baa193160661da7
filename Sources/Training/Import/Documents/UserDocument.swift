import RecommendationCore

/// A user as in `PUT /v1/users/{id}`, with id, consent and suppressions.
enum UserDocument {
    static let fields = ["user_id", "labels", "preferred_categories", "consent", "suppressions"]

    private static let allowedSuppressions =
        "up to \(Suppression.maximumCount) of {\"kind\":\"item|category|creator\",\"key\":\"...\"}, in CSV kind:key|kind:key"

    static func user(_ document: Document) throws(Rejection) -> ImportedUser {
        ImportedUser(
            id: try document.identifier(0),
            labels: try document.labels(1),
            preferredCategories: try document.list(2, maximum: 1_000),
            consent: try document.flag(3),
            suppressions: try Self.suppressions(document)
        )
    }

    static func write(_ user: ImportedUser, to line: inout DocumentWriter) {
        line.begin()
        line.string(user.id.string, "user_id")
        line.labels(user.labels, "labels")
        line.strings(user.preferredCategories, "preferred_categories")
        line.flag(user.consent, "consent")
        line.suppressions(user.suppressions ?? [], "suppressions")
        line.end()
    }

    private static func suppressions(_ document: Document) throws(Rejection) -> [Suppression]? {
        let pairs: [(kind: String, key: String)]
        switch document.values[4] {
        case nil: return nil
        case .array(let elements):
            pairs = try elements.map { element throws(Rejection) in try Self.pair(element, document) }
        case .cell(let cell):
            pairs = try cell.utf8.split(separator: UInt8(ascii: "|")).map { part throws(Rejection) in
                guard let colon = part.firstIndex(of: UInt8(ascii: ":")) else {
                    throw document.bad(4, Self.allowedSuppressions)
                }
                return (String(Substring(part[..<colon])), String(Substring(part[part.index(after: colon)...])))
            }
        default: throw document.bad(4, Self.allowedSuppressions)
        }
        guard pairs.count <= Suppression.maximumCount else { throw document.bad(4, Self.allowedSuppressions) }
        return try pairs.map { pair throws(Rejection) in
            guard let kind = Suppression.Kind(rawValue: pair.kind), Field.isIdentifier(pair.key) else {
                throw document.bad(4, Self.allowedSuppressions)
            }
            return Suppression(kind: kind, key: Identifier(trusted: pair.key))
        }
    }

    private static func pair(
        _ element: DocumentValue,
        _ document: Document
    ) throws(Rejection) -> (kind: String, key: String) {
        guard case .object(let members) = element, members.count == 2,
            case .string(let kind)? = members.first(where: { $0.name == "kind" })?.value,
            case .string(let key)? = members.first(where: { $0.name == "key" })?.value
        else { throw document.bad(4, Self.allowedSuppressions) }
        return (kind, key)
    }
}
