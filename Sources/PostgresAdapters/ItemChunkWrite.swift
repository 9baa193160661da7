import Postgres
import RecommendationCore

/// One chunk of items in its transaction: by COPY into a temporary table and set statements from there.
struct ItemChunkWrite {
    let tenant: Int32

    /// Of an id that comes more than once, the last counts.
    private static let staged: PostgresStatement =
        """
        (SELECT DISTINCT ON (item_id) *, jsonb_object(label_names, label_values) AS labels
         FROM import_items ORDER BY item_id, place DESC)
        """

    func run(
        _ items: [ImportedItem],
        onlyNew: Bool,
        in transaction: inout PostgresTransaction
    ) throws -> ImportedCounts {
        // Numbers are handed out under this row's lock, so none is given twice.
        try transaction.execute(
            "INSERT INTO item_numbers (tenant) VALUES ($1) ON CONFLICT DO NOTHING",
            [self.tenant]
        )
        try transaction.execute("SELECT next FROM item_numbers WHERE tenant = $1 FOR UPDATE", [self.tenant])
        try self.stage(items, in: &transaction)
        let changed = onlyNew ? 0 : try self.update(in: &transaction)
        let new = try transaction.execute(
            """
            INSERT INTO items (tenant, number, item_id, title, categories, creator, campaigns, labels, price, regions,
                               available_from, available_until, in_stock, hidden, created_at)
            SELECT $1, (SELECT next FROM item_numbers WHERE tenant = $1) + row_number() OVER (ORDER BY place) - 1,
                   item_id, title, categories, creator, campaigns, labels, price, regions, available_from,
                   available_until, in_stock, hidden, coalesce(created_at, now())
            FROM \(Self.staged) n
            WHERE NOT EXISTS (SELECT FROM items i WHERE i.tenant = $1 AND i.item_id = n.item_id)
            """,
            [self.tenant]
        )
        try transaction.execute(
            "UPDATE item_numbers SET next = next + $2 WHERE tenant = $1",
            [self.tenant, Int64(new)]
        )
        return ImportedCounts(new: new, changed: changed, unchanged: items.count - new - changed)
    }

    private func stage(_ items: [ImportedItem], in transaction: inout PostgresTransaction) throws {
        try transaction.executeScript(
            """
            CREATE TEMPORARY TABLE import_items (
                place bigint, item_id text COLLATE "C", title text, categories text[], creator text, campaigns text[],
                label_names text[], label_values text[], price double precision, regions text[],
                available_from timestamptz, available_until timestamptz, in_stock boolean, hidden boolean,
                created_at timestamptz
            ) ON COMMIT DROP
            """
        )
        try transaction.copyIn("import_items") { writer in
            for (place, imported) in items.enumerated() {
                let item = imported.item
                try writer.append(Int64(place))
                try writer.append(item.id.string)
                try writer.append(item.title)
                try writer.append(item.categories)
                try writer.append(item.creator)
                try writer.append(item.campaigns)
                try writer.append(item.labels.map(\.key))
                try writer.append(item.labels.map(\.value))
                try writer.append(item.price)
                try writer.append(item.regions)
                try writer.append(item.availableFrom?.postgres)
                try writer.append(item.availableUntil?.postgres)
                try writer.append(item.inStock)
                try writer.append(item.hidden)
                try writer.append(imported.createdAt?.postgres)
            }
        }
    }

    /// Changes the items that differ; an item that is as it was is not touched.
    private func update(in transaction: inout PostgresTransaction) throws(PostgresError) -> Int {
        try transaction.execute(
            """
            UPDATE items i SET title = n.title, categories = n.categories, creator = n.creator,
                campaigns = n.campaigns, labels = n.labels, price = n.price, regions = n.regions,
                available_from = n.available_from, available_until = n.available_until, in_stock = n.in_stock,
                hidden = n.hidden, created_at = coalesce(n.created_at, i.created_at)
            FROM \(Self.staged) n
            WHERE i.tenant = $1 AND i.item_id = n.item_id
              AND (i.title, i.categories, i.creator, i.campaigns, i.labels, i.price, i.regions, i.available_from,
                   i.available_until, i.in_stock, i.hidden, i.created_at)
                  IS DISTINCT FROM
                  (n.title, n.categories, n.creator, n.campaigns, n.labels, n.price, n.regions, n.available_from,
                   n.available_until, n.in_stock, n.hidden, coalesce(n.created_at, i.created_at))
            """,
            [self.tenant]
        )
    }
}
