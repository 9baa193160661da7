import RecommendationCore
import Serving

/// The rules in a policy's document: expressions over an item, its request and its user, and what is done by them.
///
///     {"all": [E, …]}  {"any": [E, …]}  {"not": E}
///     {"categories": ["a"]}  {"creators": ["c"]}  {"regions": ["DE"]}  {"locales": ["de"]}      of the item: any of these
///     {"label": {"name": "brand", "any_of": ["x"]}}                                             of the item; any_of may be left out
///     {"price": {"min": 1, "max": 20}}                                                          of the item, one bound may be left out
///     {"request_regions": ["DE"]}  {"request_locales": ["de"]}                                  what the request names
///     {"user_label": {"name": "age", "any_of": ["adult"]}}  {"same_label": {"item": "lang", "user": "lang"}}
extension DocumentReader {
    private static let terms = [
        "all", "any", "not", "categories", "creators", "label", "regions", "locales", "price", "request_regions",
        "request_locales", "user_label", "same_label",
    ]

    /// An expression; nil where anything is wrong with it.
    mutating func expression(_ value: JSONValue, _ pointer: Pointer) -> ItemExpression? {
        var count = 0
        let expression = self.expression(value, pointer, depth: 1, &count)
        if count > ItemExpression.maximumTerms {
            self.add(pointer, "too_large", allowed: "at most \(ItemExpression.maximumTerms) terms")
        }
        return expression
    }

    private mutating func expression(
        _ value: JSONValue,
        _ pointer: Pointer,
        depth: Int,
        _ count: inout Int
    ) -> ItemExpression? {
        count += 1
        guard count <= ItemExpression.maximumTerms else { return nil }
        guard depth <= ItemExpression.maximumDepth else {
            let allowed = "at most \(ItemExpression.maximumDepth) terms within each other"
            self.add(pointer, "too_deep", allowed: allowed)
            return nil
        }
        guard let object = self.object(value, at: pointer, known: Self.terms) else { return nil }
        guard let member = object.members.first, object.members.count == 1 else {
            self.add(pointer, "invalid", allowed: "an object with one of \(Self.terms.joined(separator: "|"))")
            return nil
        }
        let place = pointer.member(member.name)
        switch member.name {
        case "all": return self.parts(member.value, place, depth, &count).map(ItemExpression.all)
        case "any": return self.parts(member.value, place, depth, &count).map(ItemExpression.any)
        case "not": return self.expression(member.value, place, depth: depth + 1, &count).map(ItemExpression.not)
        case "categories": return .categories(self.texts(member.value, place))
        case "creators": return .creators(self.texts(member.value, place))
        case "regions": return .regions(self.texts(member.value, place))
        case "request_regions": return .requestRegions(self.texts(member.value, place))
        case "locales": return .locales(self.languages(member.value, place))
        case "request_locales": return .requestLocales(self.languages(member.value, place))
        case "label": return self.label(member.value, place).map { .label($0, $1) }
        case "user_label": return self.label(member.value, place).map { .userLabel($0, $1) }
        case "price": return self.price(member.value, place)
        case "same_label": return self.sameLabel(member.value, place)
        // An unknown name, which was said.
        default: return nil
        }
    }

    private mutating func parts(
        _ value: JSONValue,
        _ pointer: Pointer,
        _ depth: Int,
        _ count: inout Int
    ) -> [ItemExpression]? {
        let places = self.array(value, at: pointer, count: 1...ItemExpression.maximumValues, of: "expressions")
        var parts: [ItemExpression] = []
        for (place, value) in places {
            if let part = self.expression(value, place, depth: depth + 1, &count) { parts.append(part) }
        }
        return places.isEmpty ? nil : parts
    }

    private mutating func texts(_ value: JSONValue, _ pointer: Pointer) -> [ItemExpression.Text] {
        self.distinct(value, at: pointer, count: 1...ItemExpression.maximumValues, of: "values") {
            $0.identifier($1, at: $2)
        }
    }

    private mutating func languages(_ value: JSONValue, _ pointer: Pointer) -> [ItemExpression.Text] {
        self.distinct(value, at: pointer, count: 1...ItemExpression.maximumValues, of: "language tags") {
            guard case .string(let text) = $1, LanguageTag(text) != nil else {
                $0.add($2, "invalid", allowed: LanguageTag.allowed)
                return nil
            }
            return ItemExpression.Text(trusted: text)
        }
    }

    private mutating func label(
        _ value: JSONValue,
        _ pointer: Pointer
    ) -> (ItemExpression.Text, [ItemExpression.Text])? {
        guard let object = self.object(value, at: pointer, known: ["name", "any_of"]),
            let name = self.name("name", of: object)
        else { return nil }
        return (name, object["any_of"].map { self.texts($0, pointer.member("any_of")) } ?? [])
    }

    private mutating func sameLabel(_ value: JSONValue, _ pointer: Pointer) -> ItemExpression? {
        guard let object = self.object(value, at: pointer, known: ["item", "user"]) else { return nil }
        let names = (item: self.name("item", of: object), user: self.name("user", of: object))
        guard let item = names.item, let user = names.user else { return nil }
        return .sameLabel(item: item, user: user)
    }

    private mutating func price(_ value: JSONValue, _ pointer: Pointer) -> ItemExpression? {
        guard let object = self.object(value, at: pointer, known: ["min", "max"]) else { return nil }
        func bound(_ name: String, _ reader: inout Self) -> Double? {
            object[name].flatMap { reader.number($0, at: pointer.member(name), in: 0...ItemRules.maximumPrice) }
        }
        let (minimum, maximum) = (bound("min", &self), bound("max", &self))
        guard object["min"] != nil || object["max"] != nil else {
            self.add(pointer, "invalid", allowed: "min, max, or both")
            return nil
        }
        if let minimum, let maximum, minimum > maximum {
            self.add(pointer.member("min"), "out_of_range", allowed: "at most max, \(maximum)")
            return nil
        }
        return .price(minimum: minimum, maximum: maximum)
    }

    private mutating func name(_ member: String, of object: Object) -> ItemExpression.Text? {
        guard let value = object[member] else {
            self.add(object.pointer.member(member), "required", allowed: nil)
            return nil
        }
        return self.identifier(value, at: object.pointer.member(member))
    }

    mutating func boosts(_ value: JSONValue, _ pointer: Pointer) -> [Policy.Boost] {
        var boosts: [Policy.Boost] = []
        for (place, value) in self.array(value, at: pointer, count: 0...Policy.maximumBoosts, of: "boosts") {
            guard let object = self.object(value, at: place, known: ["factor", "when"]) else { continue }
            for name in ["factor", "when"] where object[name] == nil {
                self.add(place.member(name), "required", allowed: nil)
            }
            let factor = object["factor"].flatMap {
                self.number($0, at: place.member("factor"), in: Policy.boostFactors)
            }
            let when = object["when"].flatMap { self.expression($0, place.member("when")) }
            if let factor, let when { boosts.append(Policy.Boost(factor: Float(factor), when: when)) }
        }
        return boosts
    }

    mutating func pins(_ value: JSONValue, _ pointer: Pointer) -> [Policy.Pin] {
        var pins: [Policy.Pin] = []
        for (place, value) in self.array(value, at: pointer, count: 0...Policy.maximumPins, of: "pins") {
            guard let object = self.object(value, at: place, known: ["item_id", "position", "when"]) else { continue }
            for name in ["item_id", "position"] where object[name] == nil {
                self.add(place.member(name), "required", allowed: nil)
            }
            let item: Item.ID? = object["item_id"].flatMap { self.identifier($0, at: place.member("item_id")) }
            let position = object["position"].flatMap { self.integer($0, at: place.member("position"), in: 1...100) }
            let when = object["when"].flatMap { self.expression($0, place.member("when")) }
            guard let item, let position else { continue }
            if pins.contains(where: { $0.item == item }) {
                self.add(place.member("item_id"), "duplicate", allowed: "each item once")
            }
            if pins.contains(where: { $0.position == position }) {
                self.add(place.member("position"), "duplicate", allowed: "each position once")
            }
            pins.append(Policy.Pin(item: item, position: position, when: when))
        }
        return pins.sorted { $0.position < $1.position }
    }
}

extension JSONWriter {
    /// The rules of a policy beyond the built-in ones, each with its comma; nothing where there are none, so that a document without them is as programs
    /// that know none have it.
    ///
    /// - Parameter isOverride: Whether what is empty has to be said, as it would be another policy's.
    mutating func rules(_ policy: Policy, isOverride: Bool) {
        if let lambda = policy.marginalRelevance {
            self.raw(#","mmr":{"lambda":"#)
            self.number(lambda)
            self.raw("}")
        }
        if let eligibility = policy.eligibility {
            self.raw(#","eligibility":"#)
            self.expression(eligibility)
        }
        if !policy.boosts.isEmpty || isOverride {
            self.raw(#","boosts":"#)
            self.list(policy.boosts) { json, boost in
                json.raw(#"{"factor":"#)
                json.number(boost.factor)
                json.raw(#","when":"#)
                json.expression(boost.when)
                json.raw("}")
            }
        }
        if !policy.pins.isEmpty || isOverride {
            self.raw(#","pins":"#)
            self.list(policy.pins) { json, pin in
                json.raw(#"{"item_id":"#)
                json.string(pin.item.string)
                json.raw(#","position":"#)
                json.integer(pin.position)
                if let when = pin.when {
                    json.raw(#","when":"#)
                    json.expression(when)
                }
                json.raw("}")
            }
        }
    }

    mutating func expression(_ expression: ItemExpression) {
        switch expression {
        case .all(let parts):
            self.raw(#"{"all":"#)
            self.list(parts) { json, part in json.expression(part) }
        case .any(let parts):
            self.raw(#"{"any":"#)
            self.list(parts) { json, part in json.expression(part) }
        case .not(let part):
            self.raw(#"{"not":"#)
            self.expression(part)
        case .categories(let names): self.values("categories", names)
        case .creators(let names): self.values("creators", names)
        case .regions(let names): self.values("regions", names)
        case .locales(let tags): self.values("locales", tags)
        case .requestRegions(let names): self.values("request_regions", names)
        case .requestLocales(let tags): self.values("request_locales", tags)
        case .label(let name, let values): self.label("label", name, values)
        case .userLabel(let name, let values): self.label("user_label", name, values)
        case .sameLabel(let item, let user):
            self.raw(#"{"same_label":{"item":"#)
            self.string(item.string)
            self.raw(#","user":"#)
            self.string(user.string)
            self.raw("}")
        case .price(let minimum, let maximum):
            self.raw(#"{"price":{"#)
            if let minimum {
                self.raw(#""min":"#)
                self.number(minimum)
            }
            if minimum != nil, maximum != nil { self.raw(",") }
            if let maximum {
                self.raw(#""max":"#)
                self.number(maximum)
            }
            self.raw("}")
        }
        self.raw("}")
    }

    /// The beginning of a term that is a list of values.
    private mutating func values(_ term: String, _ values: [ItemExpression.Text]) {
        self.raw("{")
        self.string(term)
        self.raw(":")
        self.list(values) { json, value in json.string(value.string) }
    }

    /// The beginning of a term that is of a label.
    private mutating func label(_ term: String, _ name: ItemExpression.Text, _ values: [ItemExpression.Text]) {
        self.raw("{")
        self.string(term)
        self.raw(#":{"name":"#)
        self.string(name.string)
        if !values.isEmpty {
            self.raw(#","any_of":"#)
            self.list(values) { json, value in json.string(value.string) }
        }
        self.raw("}")
    }
}
