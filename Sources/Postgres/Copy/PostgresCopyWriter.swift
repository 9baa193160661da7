/// Encodes the rows of a COPY into the server, about 64 KiB at a time.
///
/// Fields are appended in the order of the columns; a row is complete when each column has its field. COPY converts
/// nothing: each value must have exactly its column's type.
public struct PostgresCopyWriter: ~Copyable {
    private static let flushThreshold = 64 * 1_024

    private let connection: Connection
    private let columns: Int
    private var fieldsLeft = 0
    private var buffer: [UInt8]

    /// The rows begun so far.
    public private(set) var rowCount = 0

    init(connection: Connection, columns: Int) {
        self.connection = connection
        self.columns = columns
        buffer = []
        buffer.reserveCapacity(Self.flushThreshold + 4_096)
        buffer.append(
            contentsOf: Array("PGCOPY\n\u{FF}\r\n\0".unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        )
        buffer.appendInteger(Int64(0))
    }

    /// Appends a field of any type, Optionals and arrays included.
    public mutating func append(_ value: some PostgresEncodable) throws(PostgresError) {
        try beginField()
        buffer.appendField(value)
    }

    /// Appends NULL.
    public mutating func appendNull() throws(PostgresError) {
        try beginField()
        buffer.appendInteger(Int32(-1))
    }

    /// Appends a `smallint`.
    public mutating func append(_ value: Int16) throws(PostgresError) {
        try appendNumber(value)
    }

    /// Appends an `integer`.
    public mutating func append(_ value: Int32) throws(PostgresError) {
        try appendNumber(value)
    }

    /// Appends a `bigint`.
    public mutating func append(_ value: Int64) throws(PostgresError) {
        try appendNumber(value)
    }

    /// Appends a `real`.
    public mutating func append(_ value: Float) throws(PostgresError) {
        try appendNumber(value.bitPattern)
    }

    /// Appends a `double precision`.
    public mutating func append(_ value: Double) throws(PostgresError) {
        try appendNumber(value.bitPattern)
    }

    /// Appends a `timestamptz`.
    public mutating func append(_ value: PostgresTimestamp) throws(PostgresError) {
        try appendNumber(value.wire)
    }

    /// Appends bytes as they are: UTF-8 for a text column, anything for `bytea`.
    public mutating func append(utf8 bytes: Span<UInt8>) throws(PostgresError) {
        try beginField()
        buffer.appendInteger(Int32(truncatingIfNeeded: bytes.count))
        unsafe bytes.withUnsafeBufferPointer { unsafe buffer.append(contentsOf: $0) }
    }

    /// Appends all fields of one row.
    public mutating func appendRow<each Value: PostgresEncodable>(_ values: repeat each Value) throws(PostgresError) {
        for value in repeat each values { try append(value) }
    }

    mutating func finish() throws(PostgresError) {
        guard fieldsLeft == 0 else { throw .misuse(.incompleteRow) }
        buffer.appendInteger(Int16(-1))
        try connection.putCopyData(buffer)
    }

    private mutating func appendNumber<Value: FixedWidthInteger>(_ value: Value) throws(PostgresError) {
        try beginField()
        buffer.appendInteger(Int32(MemoryLayout<Value>.size))
        buffer.appendInteger(value)
    }

    /// Begins the next field, and the next row when it is the first.
    private mutating func beginField() throws(PostgresError) {
        if fieldsLeft == 0 {
            if buffer.count >= Self.flushThreshold {
                try connection.putCopyData(buffer)
                buffer.removeAll(keepingCapacity: true)
            }
            buffer.appendInteger(Int16(columns))
            fieldsLeft = columns
            rowCount += 1
        }
        fieldsLeft -= 1
    }
}
