import Postgres
import RecommendationCore

/// Items as rows.
enum PostgresItems {
    static let columns: PostgresStatement =
        """
        i.number, i.item_id, i.title, i.categories, i.creator, i.campaigns, i.labels, i.price, i.regions,
        i.available_from, i.available_until, i.in_stock, i.hidden, i.revision, i.created_at
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
                labels: try LabelDocument.decode(row, first + 6),
                price: try row.decode(first + 7),
                regions: try row.decode(first + 8),
                availableFrom: try row.decode(first + 9, as: PostgresTimestamp?.self).map(Timestamp.init),
                availableUntil: try row.decode(first + 10, as: PostgresTimestamp?.self).map(Timestamp.init),
                inStock: try row.decode(first + 11),
                hidden: try row.decode(first + 12)
            ),
            revision: try row.decode(first + 13),
            createdAt: Timestamp(try row.decode(first + 14))
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

    /// The items that a transaction at or above a position has deleted.
    static func deleted(
        since position: UInt64,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [(tenant: Tenant.ID, number: Item.Number)] {
        try transaction.query(
            "SELECT t.tenant_id, d.number FROM item_deletions d JOIN tenants t USING (tenant) WHERE d.xid >= $1",
            [position]
        ) { row in
            (
                tenant: Tenant.ID(trusted: try row.decode(0)),
                number: UInt32(bitPattern: try row.decode(1, as: Int32.self))
            )
        }
    }
}
