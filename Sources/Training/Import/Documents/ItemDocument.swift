import RecommendationCore

/// An item as in `PUT /v1/items/{id}`, with its id and when it was created.
enum ItemDocument {
    static let fields = [
        "item_id", "title", "categories", "creator", "campaigns", "labels", "price", "regions", "available_from",
        "available_until", "in_stock", "hidden", "created_at",
    ]

    static let maximumTitle = 65_536

    static func item(_ document: Document) throws(Rejection) -> ImportedItem {
        let id: Item.ID = try document.identifier(0)
        guard let title = try document.text(1, maximum: Self.maximumTitle) else { throw .missingField("title") }
        let item = Item(
            id: id,
            title: title,
            categories: try document.list(2, maximum: 1_000),
            creator: try document.text(3, maximum: 1_024),
            campaigns: try document.list(4, maximum: 1_000),
            labels: try document.labels(5),
            price: try document.number(6, in: -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude),
            regions: try document.list(7, maximum: 1_000),
            availableFrom: try document.timestamp(8),
            availableUntil: try document.timestamp(9),
            inStock: try document.flag(10) ?? true,
            hidden: try document.flag(11) ?? false
        )
        return ImportedItem(item, createdAt: try document.timestamp(12))
    }

    static func write(_ imported: ImportedItem, to line: inout DocumentWriter) {
        let item = imported.item
        line.begin()
        line.string(item.id.string, "item_id")
        line.string(item.title, "title")
        line.strings(item.categories, "categories")
        line.string(item.creator, "creator")
        line.strings(item.campaigns, "campaigns")
        line.labels(item.labels, "labels")
        line.number(item.price, "price")
        line.strings(item.regions, "regions")
        line.timestamp(item.availableFrom, "available_from")
        line.timestamp(item.availableUntil, "available_until")
        line.flag(item.inStock, "in_stock")
        line.flag(item.hidden, "hidden")
        line.timestamp(imported.createdAt, "created_at")
        line.end()
    }
}
