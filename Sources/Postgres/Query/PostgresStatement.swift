/// SQL text, prepared once per connection.
///
/// Made from a literal. Values belong into bindings (`$1`); where PostgreSQL takes none (COPY, DDL), the interpolations
/// `\(literal:)` and `\(identifier:)` quote, and plain interpolation does not compile.
public struct PostgresStatement: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// The text as sent.
    public let sql: String

    /// Takes SQL from a trusted file, such as a migration, never from user input.
    public init(trusted sql: String) {
        self.sql = sql
    }

    /// Takes a literal.
    public init(stringLiteral sql: String) {
        self.sql = sql
    }

    /// Takes a literal with quoted parts.
    public init(stringInterpolation: StringInterpolation) {
        sql = stringInterpolation.sql
    }

    /// Collects the parts of an interpolated literal.
    public struct StringInterpolation: StringInterpolationProtocol {
        var sql = ""

        /// Starts an empty text.
        public init(literalCapacity: Int, interpolationCount: Int) {
            sql.reserveCapacity(literalCapacity)
        }

        /// Appends SQL.
        public mutating func appendLiteral(_ literal: String) {
            sql += literal
        }

        /// Appends a quoted string constant.
        public mutating func appendInterpolation(literal value: String) {
            let hasBackslash = value.utf8.contains(UInt8(ascii: "\\"))
            appendQuoted(value, by: "'", escapesBackslash: hasBackslash, prefix: hasBackslash ? " E" : "")
        }

        /// Appends a number.
        public mutating func appendInterpolation(literal value: some FixedWidthInteger) {
            sql += "(\(value))"
        }

        /// Appends a quoted name.
        public mutating func appendInterpolation(identifier name: String) {
            appendQuoted(name, by: "\"", escapesBackslash: false, prefix: "")
        }

        /// Appends a whole statement as it is.
        public mutating func appendInterpolation(_ statement: PostgresStatement) {
            sql += statement.sql
        }

        private mutating func appendQuoted(_ text: String, by quote: Character, escapesBackslash: Bool, prefix: String)
        {
            sql += prefix
            sql.append(quote)
            // By scalar, not by Character: a quote with a combining mark is one Character that equals no quote.
            for scalar in text.unicodeScalars {
                if Character(scalar) == quote || (escapesBackslash && scalar == "\\") {
                    sql.unicodeScalars.append(scalar)
                }
                sql.unicodeScalars.append(scalar)
            }
            sql.append(quote)
        }
    }
}
