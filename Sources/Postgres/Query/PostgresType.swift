/// A PostgreSQL type, by its object id.
public struct PostgresType: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    /// The `oid` in `pg_type`.
    public let rawValue: UInt32

    /// Takes any oid.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    private init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The name of a known type, or the number.
    public var description: String {
        Self.names[self] ?? "oid \(rawValue)"
    }

    /// Not known, as within COPY: only the length of a value is checked then.
    public static let unspecified = PostgresType(0)
    /// `boolean`.
    public static let bool = PostgresType(16)
    /// `bytea`.
    public static let bytea = PostgresType(17)
    /// `name`, the type of identifiers.
    public static let name = PostgresType(19)
    /// `bigint`.
    public static let int8 = PostgresType(20)
    /// `smallint`.
    public static let int2 = PostgresType(21)
    /// `integer`.
    public static let int4 = PostgresType(23)
    /// `text`.
    public static let text = PostgresType(25)
    /// `json`.
    public static let json = PostgresType(114)
    /// `real`.
    public static let float4 = PostgresType(700)
    /// `double precision`.
    public static let float8 = PostgresType(701)
    /// A literal of no type yet.
    public static let unknown = PostgresType(705)
    /// `character(n)`.
    public static let bpchar = PostgresType(1042)
    /// `character varying`.
    public static let varchar = PostgresType(1043)
    /// `timestamp with time zone`.
    public static let timestamptz = PostgresType(1184)
    /// `jsonb`.
    public static let jsonb = PostgresType(3802)
    /// `xid8`, a transaction id that never wraps.
    public static let xid8 = PostgresType(5069)
    /// `boolean[]`.
    public static let boolArray = PostgresType(1000)
    /// `bytea[]`.
    public static let byteaArray = PostgresType(1001)
    /// `smallint[]`.
    public static let int2Array = PostgresType(1005)
    /// `integer[]`.
    public static let int4Array = PostgresType(1007)
    /// `text[]`.
    public static let textArray = PostgresType(1009)
    /// `bigint[]`.
    public static let int8Array = PostgresType(1016)
    /// `real[]`.
    public static let float4Array = PostgresType(1021)
    /// `double precision[]`.
    public static let float8Array = PostgresType(1022)
    /// `timestamp with time zone[]`.
    public static let timestamptzArray = PostgresType(1185)
    /// `jsonb[]`.
    public static let jsonbArray = PostgresType(3807)
    /// `xid8[]`.
    public static let xid8Array = PostgresType(271)

    private static let names: [PostgresType: String] = [
        .unspecified: "unspecified", .bool: "boolean", .bytea: "bytea", .name: "name", .int8: "bigint",
        .int2: "smallint", .int4: "integer", .text: "text", .json: "json", .float4: "real",
        .float8: "double precision", .unknown: "unknown", .bpchar: "character", .varchar: "character varying",
        .timestamptz: "timestamptz", .jsonb: "jsonb", .xid8: "xid8", .boolArray: "boolean[]",
        .byteaArray: "bytea[]", .int2Array: "smallint[]", .int4Array: "integer[]", .textArray: "text[]",
        .int8Array: "bigint[]", .float4Array: "real[]", .float8Array: "double precision[]",
        .timestamptzArray: "timestamptz[]", .jsonbArray: "jsonb[]", .xid8Array: "xid8[]",
    ]
}
