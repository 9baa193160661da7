extension Bool: PostgresEncodable, PostgresDecodable {
    /// `boolean`.
    public static var postgresType: PostgresType { .bool }

    /// One byte.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.append(self ? 1 : 0)
        return true
    }

    /// Reads `boolean`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Bool {
        try check(type, isIn: .bool)
        return try bytes.wholeInteger(as: UInt8.self) != 0
    }
}

extension Int16: PostgresEncodable, PostgresDecodable {
    /// `smallint`.
    public static var postgresType: PostgresType { .int2 }

    /// Two bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(self)
        return true
    }

    /// Reads `smallint`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Int16 {
        try check(type, isIn: .int2)
        return try bytes.wholeInteger()
    }
}

extension Int32: PostgresEncodable, PostgresDecodable {
    /// `integer`.
    public static var postgresType: PostgresType { .int4 }

    /// Four bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(self)
        return true
    }

    /// Reads `integer` and `smallint`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Int32 {
        try check(type, isIn: .int4, .int2)
        return bytes.byteCount == 2 ? Int32(try bytes.wholeInteger(as: Int16.self)) : try bytes.wholeInteger()
    }
}

extension Int64: PostgresEncodable, PostgresDecodable {
    /// `bigint`.
    public static var postgresType: PostgresType { .int8 }

    /// Eight bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(self)
        return true
    }

    /// Reads `bigint`, `integer` and `smallint`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Int64 {
        try check(type, isIn: .int8, .int4, .int2)
        return switch bytes.byteCount {
        case 2: Int64(try bytes.wholeInteger(as: Int16.self))
        case 4: Int64(try bytes.wholeInteger(as: Int32.self))
        default: try bytes.wholeInteger()
        }
    }
}

extension Int: PostgresEncodable, PostgresDecodable {
    /// `bigint`.
    public static var postgresType: PostgresType { .int8 }

    /// Eight bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool { Int64(self).encode(into: &buffer) }

    /// Reads `bigint`, `integer` and `smallint`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Int {
        Int(try Int64.decode(bytes, type: type))
    }
}

extension UInt64: PostgresEncodable, PostgresDecodable {
    /// `xid8`.
    public static var postgresType: PostgresType { .xid8 }

    /// Eight bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(self)
        return true
    }

    /// Reads `xid8`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> UInt64 {
        try check(type, isIn: .xid8)
        return try bytes.wholeInteger()
    }
}

extension Float: PostgresEncodable, PostgresDecodable {
    /// `real`.
    public static var postgresType: PostgresType { .float4 }

    /// Four bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(bitPattern)
        return true
    }

    /// Reads `real`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Float {
        try check(type, isIn: .float4)
        return Float(bitPattern: try bytes.wholeInteger())
    }
}

extension Double: PostgresEncodable, PostgresDecodable {
    /// `double precision`.
    public static var postgresType: PostgresType { .float8 }

    /// Eight bytes.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.appendInteger(bitPattern)
        return true
    }

    /// Reads `double precision` and `real`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Double {
        try check(type, isIn: .float8, .float4)
        return bytes.byteCount == 4
            ? Double(Float(bitPattern: try bytes.wholeInteger())) : Double(bitPattern: try bytes.wholeInteger())
    }
}

extension String: PostgresEncodable, PostgresDecodable {
    /// `text`.
    public static var postgresType: PostgresType { .text }

    /// UTF-8; PostgreSQL refuses text that holds a NUL.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.append(contentsOf: utf8)
        return true
    }

    /// Reads the character types and `json`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> String {
        try check(type, isIn: .text, .varchar, .bpchar, .name, .unknown, .json)
        return try utf8(bytes)
    }

    static func utf8(_ bytes: RawSpan) throws(PostgresDecodingFailure) -> String {
        let text = unsafe bytes.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
        guard let text else { throw .malformed }
        return text
    }
}
