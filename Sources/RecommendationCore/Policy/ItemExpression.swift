/// What a policy says of an item, its request and its user: true or false.
///
/// An expression is small by construction (``maximumDepth``, ``maximumTerms``, ``maximumValues``), so that it can be asked of
/// every candidate of every answer.
public indirect enum ItemExpression: Sendable, Equatable {
    /// A name or a value that is compared by its bytes.
    public typealias Text = Identifier<ItemExpression>

    /// All of these.
    case all([ItemExpression])
    /// At least one of these.
    case any([ItemExpression])
    /// Not this.
    case not(ItemExpression)
    /// The item is in one of these categories.
    case categories([Text])
    /// The item is of one of these creators.
    case creators([Text])
    /// The item has a label of this name, and its value is one of these; none: any value.
    case label(Text, [Text])
    /// The item may be shown in one of these regions; one without regions may be shown everywhere.
    case regions([Text])
    /// The item is in a language that goes with one of these; one without a language is in all.
    case locales([Text])
    /// The item has a price, and that is from `minimum` to `maximum`, both included; nil: without that bound.
    case price(minimum: Double?, maximum: Double?)
    /// The request names one of these regions.
    case requestRegions([Text])
    /// The request names a language that goes with one of these.
    case requestLocales([Text])
    /// The user has a label of this name, and its value is one of these; none: any value.
    case userLabel(Text, [Text])
    /// The item's label of the first name and the user's of the second are both there, and the same.
    case sameLabel(item: Text, user: Text)

    /// `all`, `any` and `not` within each other, and a term in them.
    public static let maximumDepth = 4
    /// Terms and operators of an expression.
    public static let maximumTerms = 64
    /// Values of one term, and parts of one operator.
    public static let maximumValues = 100

    /// The user's labels that it asks for, each once, in order.
    public var userLabels: [Text] {
        switch self {
        case .all(let parts), .any(let parts): Set(parts.flatMap(\.userLabels)).sorted()
        case .not(let part): part.userLabels
        case .userLabel(let name, _), .sameLabel(_, let name): [name]
        default: []
        }
    }
}
