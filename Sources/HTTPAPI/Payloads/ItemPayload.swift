import NIOCore
import RecommendationCore
import Serving

/// Items as clients write them.
enum ItemPayload {
    private static let fields = [
        "title", "categories", "creator", "campaigns", "labels", "price", "regions", "available_from",
        "available_until",
        "in_stock", "hidden",
    ]

    /// A whole item: what is left out has its default.
    static func item(_ id: Item.ID, _ value: JSONValue) throws(Problem) -> Item {
        var reader = try FieldReader(value, fields: Self.fields, document: "one item object")
        let title = reader.title(required: true)
        let creator: Identifier<Item>? = reader.identifier("creator", required: false)
        let item = Item(
            id: id,
            title: title ?? "",
            categories: reader.names("categories", maximum: ItemRules.maximumGroups) ?? [],
            creator: creator?.string,
            campaigns: reader.names("campaigns", maximum: ItemRules.maximumGroups) ?? [],
            labels: reader.labels("labels", mayBeNull: false)?.compactMapValues(\.self) ?? [:],
            price: reader.price(),
            regions: reader.names("regions", maximum: ItemRules.maximumRegions) ?? [],
            availableFrom: reader.timestamp("available_from"),
            availableUntil: reader.timestamp("available_until"),
            inStock: reader.flag("in_stock") ?? true,
            hidden: reader.flag("hidden") ?? false
        )
        try reader.check()
        try Self.check(item.violations)
        return item
    }

    /// A merge patch: what is left out stays, null is the default again, anything else replaces, but labels, which merge.
    static func patch(_ value: JSONValue) throws(Problem) -> ItemPatch {
        var reader = try FieldReader(value, fields: Self.fields, document: "one object of changes")
        var patch = ItemPatch()
        if reader.names("title") { patch.title = reader.title(required: true) }
        patch.categories = reader.change("categories") { $0.names($1, maximum: ItemRules.maximumGroups) }
        patch.creator = reader.change("creator") { reader, field in
            let creator: Identifier<Item>? = reader.identifier(field, required: false)
            return creator.map { .some($0.string) }
        }
        patch.campaigns = reader.change("campaigns") { $0.names($1, maximum: ItemRules.maximumGroups) }
        switch reader.change("labels", { $0.labels($1, mayBeNull: true) }) {
        case .keep: break
        case .reset: patch.labels = .reset
        case .set(let members): patch.labels = .merge(members)
        }
        patch.price = reader.change("price") { reader, _ in reader.price().map { .some($0) } }
        patch.regions = reader.change("regions") { $0.names($1, maximum: ItemRules.maximumRegions) }
        patch.availableFrom = reader.change("available_from") { reader, field in
            reader.timestamp(field).map { .some($0) }
        }
        patch.availableUntil = reader.change("available_until") { reader, field in
            reader.timestamp(field).map { .some($0) }
        }
        patch.inStock = reader.change("in_stock") { $0.flag($1) }
        patch.hidden = reader.change("hidden") { $0.flag($1) }
        try reader.check()
        return patch
    }

    /// What a violation is as a field's error.
    static func error(_ violation: ItemViolation) -> FieldError {
        switch violation {
        case .windowOrder:
            FieldError(pointer: "#/available_until", code: "out_of_range", allowed: "a time after available_from")
        case .tooManyLabels:
            FieldError(
                pointer: "#/labels",
                code: "invalid",
                allowed: "an object of up to \(ItemRules.maximumLabels) strings"
            )
        }
    }

    private static func check(_ violations: [ItemViolation]) throws(Problem) {
        guard violations.isEmpty else { throw .invalid(violations.map(Self.error)) }
    }
}

extension FieldReader {
    fileprivate mutating func title(required: Bool) -> String? {
        let length = ItemRules.titleLength
        guard let title = self.text("title", required: required, maximum: length.upperBound) else { return nil }
        guard length.contains(title.utf8.count) else {
            self.add("title", "invalid", allowed: "a string of \(length.lowerBound) to \(length.upperBound) bytes")
            return nil
        }
        return title
    }

    fileprivate mutating func price() -> Double? {
        guard let price = self.number("price") else { return nil }
        guard (0...ItemRules.maximumPrice).contains(price) else {
            self.add("price", "out_of_range", allowed: "a number from 0 to 1000000000000")
            return nil
        }
        return price
    }

    /// What a merge patch makes of one field.
    fileprivate mutating func change<Value>(
        _ field: String,
        _ read: (inout FieldReader, String) -> Value?
    ) -> ItemPatch.Change<Value> {
        guard self.names(field) else { return .keep }
        // Nothing read: it is null, or it is wrong and among the errors.
        return read(&self, field).map { .set($0) } ?? .reset
    }
}

extension JSONWriter {
    /// A page ends when its answer has this size, if not before.
    private static let pageSize = 4 << 20

    static func document(_ item: StoredItem) -> ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.item(item)
        return json.buffer
    }

    static func document(_ page: ItemPage) -> ByteBuffer {
        var json = JSONWriter(capacity: 64 + 300 * page.items.count)
        json.raw(#"{"items":["#)
        var next = page.nextCursor
        for (index, item) in page.items.enumerated() {
            if index > 0 { json.raw(",") }
            json.item(item)
            if json.count > Self.pageSize, index + 1 < page.items.count {
                next = ItemCursor.text(after: item.item.id)
                break
            }
        }
        json.raw(#"],"next_cursor":"#)
        json.string(next)
        json.raw("}")
        return json.buffer
    }

    static func document(
        of id: Item.ID,
        revision: Item.Revision,
        created: Bool,
        _ announcement: Announcement,
        isComplete: Bool?
    ) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw(#"{"item_id":"#)
        json.string(id.string)
        json.raw(#","revision":"#)
        json.integer(revision)
        json.raw(#","created":"#)
        json.bool(created)
        json.announced(announcement, isComplete: isComplete)
        return json.buffer
    }

    static func deletion(
        of id: Item.ID,
        epoch: Int64,
        _ announcement: Announcement,
        isComplete: Bool?
    ) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw(#"{"item_id":"#)
        json.string(id.string)
        json.raw(#","deleted":true,"epoch":"#)
        json.integer(epoch)
        json.announced(announcement, isComplete: isComplete)
        return json.buffer
    }

    private mutating func item(_ stored: StoredItem) {
        let item = stored.item
        self.raw(#"{"item_id":"#)
        self.string(item.id.string)
        self.raw(#","title":"#)
        self.string(item.title)
        self.raw(#","categories":"#)
        self.list(item.categories) { json, name in json.string(name) }
        self.raw(#","creator":"#)
        self.string(item.creator)
        self.raw(#","campaigns":"#)
        self.list(item.campaigns) { json, name in json.string(name) }
        self.raw(#","labels":"#)
        self.labels(item.labels)
        self.raw(#","price":"#)
        if let price = item.price { self.double(price) } else { self.null() }
        self.raw(#","regions":"#)
        self.list(item.regions) { json, name in json.string(name) }
        self.raw(#","available_from":"#)
        self.string(item.availableFrom?.rfc3339)
        self.raw(#","available_until":"#)
        self.string(item.availableUntil?.rfc3339)
        self.raw(#","in_stock":"#)
        self.bool(item.inStock)
        self.raw(#","hidden":"#)
        self.bool(item.hidden)
        self.raw(#","created_at":"#)
        self.string(stored.createdAt.rfc3339)
        self.raw(#","revision":"#)
        self.integer(stored.revision)
        self.raw("}")
    }

    /// In order of name.
    mutating func labels(_ labels: [String: String]) {
        self.raw("{")
        for (index, label) in labels.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { self.raw(",") }
            self.string(label.key)
            self.raw(":")
            self.string(label.value)
        }
        self.raw("}")
    }
}
