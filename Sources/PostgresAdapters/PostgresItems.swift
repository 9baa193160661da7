import Postgres
import RecommendationCore

/// Items as rows.
enum PostgresItems {
    static let columns: PostgresStatement =
        """
        i.number, i.item_id, i.title, i.categories, i.creator, i.campaigns, i.price, i.regions, i.available_from,
        i.available_until, i.in_stock, i.hidden
        """

    static func decode(_ row: borrowing PostgresRow, from first: Int) throws(PostgresError) -> NumberedItem {
        NumberedItem(
            number: UInt32(bitPattern: try row.decode(first, as: Int32.self)),
            item: Item(
                id: Item.ID(trusted: try row.decode(first + 1)),
                title: try row.decode(first + 2),
                categories: try row.decode(first + 3),
                creator: try row.decode(first + 4),
                campaigns: try row.decode(first + 5),
                price: try row.decode(first + 6),
                regions: try row.decode(first + 7),
                availableFrom: try row.decode(first + 8, as: PostgresTimestamp?.self).map(Timestamp.init),
                availableUntil: try row.decode(first + 9, as: PostgresTimestamp?.self).map(Timestamp.init),
                inStock: try row.decode(first + 10),
                hidden: try row.decode(first + 11)
            )
        )
    }

    /// The revision feed: every item that a transaction at or above a position has changed.
    static func changed(
        since position: UInt64,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [(tenant: Tenant.ID, item: NumberedItem)] {
        try transaction.query(
            "SELECT t.tenant_id, \(Self.columns) FROM items i JOIN tenants t USING (tenant) WHERE i.xid >= $1",
            [position]
        ) { row in
            (tenant: Tenant.ID(trusted: try row.decode(0)), item: try Self.decode(row, from: 1))
        }
    }
}
