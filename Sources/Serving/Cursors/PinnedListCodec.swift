import RecommendationCore

/// The bytes of a ``PinnedList``, little endian; texts and lists come after their lengths:
///
///     format (1)  tier (1)  shown (1)
///     model, generation, epoch, user, changed, version, computed-at, issued-at (8 each)
///     surface, policy, variant, region, locale (each 1 and text; no region, no locale: 0)
///     number of categories (1) and they (1 and text each), likewise those that are excluded
///     number of items shown lately (1) and they (4 each)
///     number of marks (1) and of each item (4), kind (1), factor (4)
///     the pool, as ``PoolCodec`` has it
enum PinnedListCodec {
    static let format: UInt8 = 1

    static func encode(_ list: PinnedList) -> [UInt8] {
        var bytes: [UInt8] = [Self.format, list.origin.tier.code, UInt8(clamping: list.shown)]
        func put<Value: FixedWidthInteger>(_ value: Value) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        func put(_ text: String) {
            // Names are of at most 128 bytes, and a locale is shorter.
            bytes.append(UInt8(clamping: text.utf8.count))
            bytes.append(contentsOf: text.utf8.prefix(Int(UInt8.max)))
        }
        let origin = list.origin
        let numbers = [
            origin.model, origin.generation, origin.epoch, origin.user, origin.changed, origin.version,
            origin.computedAt, origin.issuedAt,
        ]
        for number in numbers { put(number) }
        put(origin.surface)
        put(origin.policy)
        put(origin.variant)
        put(list.filters.region?.string ?? "")
        put(list.filters.locale?.string ?? "")
        for categories in [list.filters.categories, list.filters.excludedCategories] {
            bytes.append(UInt8(clamping: categories.count))
            for category in categories { put(category.string) }
        }
        bytes.append(UInt8(clamping: list.lately.count))
        for item in list.lately { put(item) }
        bytes.append(UInt8(clamping: list.marks.count))
        for mark in list.marks {
            put(mark.item)
            bytes.append(mark.kind.rawValue)
            put(mark.factor.bitPattern)
        }
        return bytes + PoolCodec.encode(list.pool)
    }

    /// The list of these bytes; nil where they are not one.
    static func decode(_ bytes: [UInt8]) -> PinnedList? {
        var rest = bytes[...]
        func integer<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
            let size = MemoryLayout<Value>.size
            guard rest.count >= size else { return nil }
            defer { rest = rest.dropFirst(size) }
            return rest.prefix(size).reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
        }
        func text() -> String? {
            guard let count = integer(UInt8.self), rest.count >= Int(count) else { return nil }
            defer { rest = rest.dropFirst(Int(count)) }
            return String(validating: rest.prefix(Int(count)), as: UTF8.self)
        }
        /// As many as a count that comes before them.
        func list<Element>(_ element: () -> Element?) -> [Element]? {
            guard let count = integer(UInt8.self) else { return nil }
            var elements: [Element] = []
            for _ in 0..<count {
                guard let element = element() else { return nil }
                elements.append(element)
            }
            return elements
        }
        guard integer(UInt8.self) == Self.format, let tier = integer(UInt8.self).flatMap(Tier.init(code:)),
            let shown = integer(UInt8.self), let model = integer(Int64.self), let generation = integer(Int64.self),
            let epoch = integer(Int64.self), let user = integer(Int64.self), let changed = integer(Int64.self),
            let version = integer(Int64.self), let computedAt = integer(Int64.self),
            let issuedAt = integer(Int64.self), let surface = text(), let policy = text(), let variant = text(),
            let region = text(),
            let locale = text(), let categories = list(text), let excluded = list(text),
            let lately = list({ integer(UInt32.self) }),
            let marks = list({ () -> PinnedList.Mark? in
                guard let item = integer(UInt32.self),
                    let kind = integer(UInt8.self).flatMap(PinnedList.Mark.Kind.init(rawValue:)),
                    let factor = integer(UInt32.self).map(Float.init(bitPattern:))
                else { return nil }
                return PinnedList.Mark(item: item, kind: kind, factor: factor)
            }), let pool = PoolCodec.decode(Array(rest))
        else { return nil }
        var filters = PinnedList.Filters()
        filters.categories = categories.map { ItemCategory.ID(trusted: $0) }
        filters.excludedCategories = excluded.map { ItemCategory.ID(trusted: $0) }
        filters.region = region.isEmpty ? nil : ItemRegion.ID(trusted: region)
        if !locale.isEmpty {
            guard let tag = LanguageTag(locale) else { return nil }
            filters.locale = tag
        }
        return PinnedList(
            origin: PinnedList.Origin(
                surface: surface,
                model: model,
                policy: policy,
                variant: variant,
                generation: generation,
                epoch: epoch,
                user: user,
                changed: changed,
                version: version,
                computedAt: computedAt,
                tier: tier,
                issuedAt: issuedAt
            ),
            filters: filters,
            shown: Int(shown),
            lately: lately,
            pool: pool,
            marks: marks
        )
    }
}

extension Tier {
    /// Its place among all; an enum of strings has no number of its own.
    fileprivate var code: UInt8 { UInt8(Tier.allCases.firstIndex(of: self)!) }

    fileprivate init?(code: UInt8) {
        guard code < Tier.allCases.count else { return nil }
        self = Tier.allCases[Int(code)]
    }
}
