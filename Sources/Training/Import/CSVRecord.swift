/// The fields of one record of CSV (RFC 4180).
struct CSVRecord {
    private(set) var fields: [ArraySlice<UInt8>] = []
    /// Whether the last record failed only because a quoted field did not end: with more lines it may.
    private(set) var isOpen = false

    /// Takes a record apart; fields without quotes are slices of it. Without a number of columns, any is right.
    mutating func parse(_ line: ArraySlice<UInt8>, columns: Int?) throws(Rejection) {
        self.fields.removeAll(keepingCapacity: true)
        self.isOpen = false
        var rest = line
        while true {
            if let columns, self.fields.count == columns { throw .tooManyColumns(expected: columns) }
            if rest.first == UInt8(ascii: "\"") {
                self.fields.append(try self.quoted(&rest))
            } else {
                let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.endIndex
                self.fields.append(rest[..<end])
                rest = rest[end...]
            }
            guard rest.popFirst() != nil else { break }
        }
        if let columns, self.fields.count < columns {
            throw .missingColumn(expected: columns, found: self.fields.count)
        }
    }

    /// Lets go of the line, so that its reader need not copy the buffer.
    mutating func clear() { self.fields.removeAll(keepingCapacity: true) }

    private mutating func quoted(_ rest: inout ArraySlice<UInt8>) throws(Rejection) -> ArraySlice<UInt8> {
        let quote = UInt8(ascii: "\"")
        rest.removeFirst()
        var field: ArraySlice<UInt8> = []
        while let end = rest.firstIndex(of: quote) {
            let part = rest[..<end]
            rest = rest[(end + 1)...]
            if field.isEmpty { field = part } else { field += part }
            guard rest.first == quote else {
                guard rest.isEmpty || rest.first == UInt8(ascii: ",") else { throw .badQuoting }
                return field
            }
            field.append(quote)
            rest.removeFirst()
        }
        self.isOpen = true
        throw .badQuoting
    }
}
