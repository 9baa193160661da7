import NIOCore
import RecommendationCore
package import Serving

/// The JSON document of a decision: what is stored, and what is shown.
enum DecisionDocument {
    /// The decision of a document that this program, or one before it, has written; nil where it is none.
    static func read(_ document: String) -> Decision? {
        guard let value = try? JSONReader.read(Array(document.utf8)), let rules = value["rules"],
            let limit = rules["limit"]?.integer, let isBoosted = rules["boosted"]?.flag,
            let tried = rules["tried"]?.integer, let excludesSeen = rules["exclude_seen"]?.flag,
            let earlier = value["earlier"]?.elements, let candidates = value["candidates"]?.elements,
            let order = value["order"]?.elements
        else { return nil }
        let read = (candidates.compactMap(Self.candidate), order.compactMap(Self.place))
        guard read.0.count == candidates.count, read.1.count == order.count else { return nil }
        return Decision(
            rules: Decision.Rules(
                limit: limit,
                categoryCap: rules["category_cap"].flatMap(Self.cap),
                creatorCap: rules["creator_cap"].flatMap(Self.cap),
                marginalRelevance: rules["mmr"]?.float,
                isBoosted: isBoosted,
                tried: tried,
                excludesSeen: excludesSeen
            ),
            earlier: earlier.map { shown in
                Decision.Earlier(
                    category: shown["category"]?.text.map { ItemCategory.ID(trusted: $0) },
                    creator: shown["creator"]?.text
                )
            },
            candidates: read.0,
            order: read.1
        )
    }

    private static func cap(_ value: JSONValue) -> Policy.DiversityCap? {
        guard let maximum = value["max_per_window"]?.integer, let window = value["window"]?.integer else { return nil }
        return Policy.DiversityCap(maximum: maximum, window: window)
    }

    private static func place(_ value: JSONValue) -> Decision.Place? {
        guard let item = value["item_id"]?.text, let score = value["score"]?.float else { return nil }
        return Decision.Place(item: Item.ID(trusted: item), score: score)
    }

    private static func candidate(_ value: JSONValue) -> Decision.Candidate? {
        guard let place = Self.place(value), let components = value["components"],
            let collaborative = components["collaborative"]?.float, let content = components["content"]?.float,
            let popularity = components["popularity"]?.float, let standing = Self.standing(value),
            let factor = value["factor"]?.float
        else { return nil }
        var candidate = Decision.Candidate(
            item: place.item,
            standing: standing,
            score: place.score,
            collaborative: collaborative,
            content: content,
            popularity: popularity
        )
        candidate.factor = factor
        candidate.category = value["category"]?.text.map { ItemCategory.ID(trusted: $0) }
        candidate.creator = value["creator"]?.text
        candidate.features = value["features"]?.elements?.compactMap { $0.integer.map { UInt64($0) } } ?? []
        candidate.seed = value["seed_item"]?.text.map { Item.ID(trusted: $0) }
        if let removal = value["removed_by"]?.text {
            guard let rule = ItemExplanation.Removal(rawValue: removal) else { return nil }
            candidate.removedBy = rule
        }
        return candidate
    }

    private static func standing(_ value: JSONValue) -> Decision.Candidate.Standing? {
        let position = value["position"]?.integer
        switch value["standing"]?.text {
        case "scored": return .scored
        case "tried": return position.map { .tried(number: $0 - 1) }
        case "pinned": return position.map { .pinned(place: $0 - 1) }
        default: return nil
        }
    }
}

extension JSONValue {
    /// A member of an object that is there and not null.
    fileprivate subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        let value = members.first { $0.name.hasSameBytes(as: name) }?.value
        return value.flatMap { $0.isNull ? nil : $0 }
    }

    fileprivate var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }
    fileprivate var flag: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    fileprivate var integer: Int? {
        if case .integer(let integer) = self, integer >= 0 { Int(exactly: integer) } else { nil }
    }
    fileprivate var float: Float? {
        switch self {
        case .integer(let integer): Float(integer)
        case .number(let number): Float(number)
        default: nil
        }
    }
}

extension JSONWriter {
    static func document(_ record: DecisionRecord) -> ByteBuffer {
        var json = JSONWriter(capacity: 16_384)
        let (answer, decision) = (record.answer, record.decision)
        json.raw(#"{"recommendation_id":"#)
        json.string(answer.id.string)
        json.raw(#","user_id":"#)
        json.string(answer.user?.string)
        json.raw(#","list":"#)
        json.string(record.list.rawValue)
        json.raw(#","surface":"#)
        json.string(answer.surface)
        json.raw(#","generated_at":"#)
        json.string(answer.generatedAt.rfc3339)
        json.raw(#","model_version":"#)
        json.string(answer.modelVersion)
        json.raw(#","policy_version":"#)
        json.string(answer.policyVersion)
        json.experiments(answer.experiments)
        json.raw(#","control_epoch":"#)
        json.integer(record.epoch)
        json.standing(of: answer)
        json.raw(#","filters":"#)
        json.filters(record.filters)
        json.raw(#","rules":"#)
        json.rules(decision.rules)
        json.raw(#","earlier":"#)
        json.list(decision.earlier) { json, shown in
            json.raw(#"{"category":"#)
            json.string(shown.category?.string)
            json.raw(#","creator":"#)
            json.string(shown.creator)
            json.raw("}")
        }
        json.raw(#","candidates":"#)
        json.list(decision.candidates) { json, candidate in json.candidate(candidate) }
        json.raw(#","order":"#)
        json.places(decision.order)
        json.raw("}")
        return json.buffer
    }

    /// A stored document, with what it gives when it is made again.
    static func document(_ replayed: ReplayedDecision) -> ByteBuffer {
        var json = JSONWriter(capacity: replayed.document.utf8.count + 4_096)
        Array(replayed.document.utf8.dropLast()).withUnsafeBufferPointer { json.raw($0) }
        json.raw(#","replay":{"matches":"#)
        json.bool(replayed.matches)
        json.raw(#","order":"#)
        json.places(replayed.order)
        json.raw("}}")
        return json.buffer
    }

    private mutating func places(_ places: [Decision.Place]) {
        self.list(places) { json, place in
            json.raw(#"{"item_id":"#)
            json.string(place.item.string)
            json.raw(#","score":"#)
            json.number(place.score)
            json.raw("}")
        }
    }

    private mutating func filters(_ filters: RequestFilters) {
        self.raw(#"{"category":"#)
        self.list(filters.categories) { json, category in json.string(category.string) }
        self.raw(#","exclude_category":"#)
        self.list(filters.excludedCategories) { json, category in json.string(category.string) }
        self.raw(#","exclude":"#)
        self.list(filters.excludedItems) { json, item in json.string(item.string) }
        self.raw(#","exclude_seen":"#)
        if let excludesSeen = filters.excludesSeen { self.bool(excludesSeen) } else { self.null() }
        self.raw(#","region":"#)
        self.string(filters.region?.string)
        self.raw(#","locale":"#)
        self.string(filters.locale?.string)
        self.raw("}")
    }

    private mutating func rules(_ rules: Decision.Rules) {
        self.raw(#"{"limit":"#)
        self.integer(rules.limit)
        self.raw(#","category_cap":"#)
        self.cap(rules.categoryCap)
        self.raw(#","creator_cap":"#)
        self.cap(rules.creatorCap)
        self.raw(#","mmr":"#)
        if let lambda = rules.marginalRelevance { self.number(lambda) } else { self.null() }
        self.raw(#","boosted":"#)
        self.bool(rules.isBoosted)
        self.raw(#","tried":"#)
        self.integer(rules.tried)
        self.raw(#","exclude_seen":"#)
        self.bool(rules.excludesSeen)
        self.raw("}")
    }

    private mutating func cap(_ cap: Policy.DiversityCap?) {
        guard let cap, cap.maximum >= 0, cap.window >= 0 else { return self.null() }
        self.raw(#"{"max_per_window":"#)
        self.integer(cap.maximum)
        self.raw(#","window":"#)
        self.integer(cap.window)
        self.raw("}")
    }

    private mutating func candidate(_ candidate: Decision.Candidate) {
        self.raw(#"{"item_id":"#)
        self.string(candidate.item.string)
        self.raw(#","standing":"#)
        switch candidate.standing {
        case .scored: self.raw(#""scored","position":null"#)
        case .tried(let number):
            self.raw(#""tried","position":"#)
            self.integer(number + 1)
        case .pinned(let place):
            self.raw(#""pinned","position":"#)
            self.integer(place + 1)
        }
        self.raw(#","removed_by":"#)
        self.string(candidate.removedBy?.rawValue)
        self.raw(#","score":"#)
        self.number(candidate.score)
        self.raw(#","components":{"collaborative":"#)
        self.number(candidate.collaborative)
        self.raw(#","content":"#)
        self.number(candidate.content)
        self.raw(#","popularity":"#)
        self.number(candidate.popularity)
        self.raw(#"},"factor":"#)
        self.number(candidate.factor)
        self.raw(#","category":"#)
        self.string(candidate.category?.string)
        self.raw(#","creator":"#)
        self.string(candidate.creator)
        self.raw(#","seed_item":"#)
        self.string(candidate.seed?.string)
        self.raw(#","features":"#)
        self.list(candidate.features) { json, feature in json.integer(feature) }
        self.raw("}")
    }
}

extension DecisionCodec {
    /// Decisions are stored as the API shows them.
    package static let json = DecisionCodec(
        encode: { record in String(buffer: JSONWriter.document(record)) },
        decode: { document in DecisionDocument.read(document) }
    )
}
