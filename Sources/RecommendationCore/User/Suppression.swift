/// Something a user does not want to be shown.
///
/// Suppressions are read with the user's version in one statement, and a change of them raises it: what was computed before
/// a change is served no more, and what is computed after it has the change in it.
public struct Suppression: Sendable, Hashable {
    /// What a suppression can name.
    public enum Kind: String, CaseIterable, Sendable {
        case item, category, creator
    }

    /// The kind of thing.
    public let kind: Kind
    /// Its id or name, compared by bytes.
    public let key: Identifier<Suppression>

    /// The most suppressions of one user.
    public static let maximumCount = 1_000

    /// A suppression of a kind and a key.
    public init(kind: Kind, key: Identifier<Suppression>) {
        self.kind = kind
        self.key = key
    }
}
