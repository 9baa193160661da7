import RecommendationCore
import Serving

/// What is asked of one user's slate, in a query or in a body.
struct RecommendationQuery {
    var request: RecommendationRequest
    var explain: Explanation

    /// The parameters of a query and the members of a body.
    static let fields = wholeFields + ["cursor"]
    /// Those of a list that nothing comes after.
    static let wholeFields = ["surface", "limit", "explain"] + filterFields
    /// Those that say which list is meant.
    static let explainedFields = ["surface", "limit"] + filterFields
    /// Of a list that is gone on with, what the first page says.
    private static let pinned = ["surface"] + filterFields
    /// Those of a query that are lists.
    static let lists = ["category", "exclude_category", "exclude"]

    private static let allowedCursors = "*, or a next_cursor as it came"
    private static let filterFields = lists + ["exclude_seen", "region", "locale"]

    /// A name of a place where lists are shown; which there are is the policy's business.
    private enum Surface {}

    /// The most items in one answer.
    static let limits: ClosedRange<Int64> = 1...100
    static let allowedLimits = "1..100"

    /// From the parameters of a query.
    init(_ query: QueryParameters, user: User.ID?, tenant: Tenant.ID, _ errors: inout FieldErrors) throws(Problem) {
        let surface: Identifier<Surface>? = errors.identifier(query["surface"] ?? "home", at: Pointer("surface"))
        let limit = errors.limit(query["limit"])
        let explain = errors.word(query["explain"], at: "explain", allowed: Self.explanations) {
            Explanation(rawValue: $0)
        }
        let filters = Self.filters(query, &errors)
        let page = errors.word(query["cursor"], at: "cursor", allowed: Self.allowedCursors, Self.page)
        if case .next = page {
            for name in Self.pinned where query[name] != nil || !query.values(name).isEmpty {
                errors.add(Pointer(name), "pinned", allowed: Self.onlyFirst)
            }
        }
        try errors.check()
        guard let user, let surface else { throw .internalError("an invalid parameter was not noticed") }
        self.request = RecommendationRequest(tenant: tenant, user: user, surface: surface.string, limit: limit)
        self.request.filters = filters
        self.request.page = page ?? .whole
        self.explain = explain ?? .reason
    }

    /// From the members of a body.
    init(_ reader: inout FieldReader, user: User.ID?, tenant: Tenant.ID) throws(Problem) {
        let surface: Identifier<Surface>? = reader.identifier("surface", required: false)
        let limit = reader.integer("limit", in: Self.limits, allowed: Self.allowedLimits)
        let explain = reader.word("explain", allowed: Self.explanations) { Explanation(rawValue: $0) }
        let filters = Self.filters(&reader)
        let page = reader.word("cursor", allowed: Self.allowedCursors, Self.page)
        if case .next = page {
            for name in Self.pinned where reader.has(name) { reader.add(name, "pinned", allowed: Self.onlyFirst) }
        }
        try reader.check()
        guard let user else { throw .internalError("a missing user was not noticed") }
        self.request = RecommendationRequest(
            tenant: tenant,
            user: user,
            surface: surface?.string ?? "home",
            limit: Int(limit ?? 10)
        )
        self.request.filters = filters
        self.request.page = page ?? .whole
        self.explain = explain ?? .reason
    }

    private static let onlyFirst = "nothing: the first page has said it"

    private static func page(_ text: String) -> RecommendationRequest.Page? {
        if text == "*" { return .first }
        return text.utf8.starts(with: "v1.".utf8) ? .next(text) : nil
    }

    private static let explanations = Explanation.allCases.map(\.rawValue).joined(separator: "|")
    private static let flags = "true|false"

    private static func filters(_ query: QueryParameters, _ errors: inout FieldErrors) -> RequestFilters {
        var filters = RequestFilters()
        filters.categories = errors.list(query, "category", maximum: RequestFilters.maximumCategories)
        filters.excludedCategories = errors.list(query, "exclude_category", maximum: RequestFilters.maximumCategories)
        filters.excludedItems = errors.list(query, "exclude", maximum: RequestFilters.maximumItems)
        filters.excludesSeen = errors.word(query["exclude_seen"], at: "exclude_seen", allowed: Self.flags) { text in
            switch text {
            case "true": true
            case "false": false
            default: nil
            }
        }
        filters.region = query["region"].flatMap { errors.identifier($0, at: Pointer("region")) }
        filters.locale = errors.word(query["locale"], at: "locale", allowed: LanguageTag.allowed) { LanguageTag($0) }
        return filters
    }

    private static func filters(_ reader: inout FieldReader) -> RequestFilters {
        var filters = RequestFilters()
        filters.categories = reader.list("category", maximum: RequestFilters.maximumCategories)
        filters.excludedCategories = reader.list("exclude_category", maximum: RequestFilters.maximumCategories)
        filters.excludedItems = reader.list("exclude", maximum: RequestFilters.maximumItems)
        filters.excludesSeen = reader.flag("exclude_seen")
        filters.region = reader.identifier("region", required: false)
        filters.locale = reader.word("locale", allowed: LanguageTag.allowed) { LanguageTag($0) }
        return filters
    }
}

extension FieldErrors {
    /// The limit of a query: 10 where there is none.
    mutating func limit(_ text: String?) -> Int {
        guard let text else { return 10 }
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            self.add(Pointer("limit"), "invalid", allowed: RecommendationQuery.allowedLimits)
            return 0
        }
        guard let limit = Int64(text), RecommendationQuery.limits.contains(limit) else {
            self.add(Pointer("limit"), "out_of_range", allowed: RecommendationQuery.allowedLimits)
            return 0
        }
        return Int(limit)
    }

    /// Up to `maximum` ids.
    mutating func list<Entity>(_ query: QueryParameters, _ name: String, maximum: Int) -> [Identifier<Entity>] {
        let values = query.values(name)
        guard values.count <= maximum else {
            self.add(Pointer(name), "too_many", allowed: "at most \(maximum), separated by commas")
            return []
        }
        var identifiers: [Identifier<Entity>] = []
        for (index, value) in values.enumerated() {
            var pointer = Pointer(name)
            pointer.append(index)
            if let identifier: Identifier<Entity> = self.identifier(value, at: pointer) {
                identifiers.append(identifier)
            }
        }
        return identifiers
    }

    /// Text that stands for something; nil where there is none.
    mutating func word<Value>(
        _ text: String?,
        at name: String,
        allowed: String,
        _ make: (String) -> Value?
    ) -> Value? {
        guard let text else { return nil }
        let made = make(text)
        if made == nil { self.add(Pointer(name), "invalid", allowed: allowed) }
        return made
    }
}
