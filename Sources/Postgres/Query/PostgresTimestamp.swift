/// A `timestamp with time zone`: a moment in microseconds since 1970, UTC.
public struct PostgresTimestamp: Sendable, Hashable, Comparable {
    /// Microseconds since 1970-01-01T00:00:00Z.
    public var unixMicroseconds: Int64

    /// Takes microseconds since 1970-01-01T00:00:00Z.
    public init(unixMicroseconds: Int64) {
        self.unixMicroseconds = unixMicroseconds
    }

    /// `infinity`: later than all others.
    public static let infinity = PostgresTimestamp(unixMicroseconds: .max)
    /// `-infinity`: earlier than all others.
    public static let negativeInfinity = PostgresTimestamp(unixMicroseconds: .min)

    /// Orders by time.
    public static func < (left: Self, right: Self) -> Bool { left.unixMicroseconds < right.unixMicroseconds }

    /// PostgreSQL counts from 2000-01-01.
    private static let epoch: Int64 = 946_684_800_000_000

    var wire: Int64 {
        switch unixMicroseconds {
        case .max, .min: return unixMicroseconds
        default:
            let (value, overflow) = unixMicroseconds.subtractingReportingOverflow(Self.epoch)
            return overflow ? .min : value
        }
    }

    init(wire: Int64) {
        let (value, overflow) = wire.addingReportingOverflow(Self.epoch)
        unixMicroseconds = wire == .min ? .min : (overflow ? .max : value)
    }
}

extension PostgresTimestamp: PostgresEncodable, PostgresDecodable {
    /// `timestamptz`.
    public static var postgresType: PostgresType { .timestamptz }

    /// Eight bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(wire)
        return true
    }

    /// Reads `timestamptz`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Self {
        try check(type, isIn: .timestamptz)
        return Self(wire: try bytes.wholeInteger())
    }
}
