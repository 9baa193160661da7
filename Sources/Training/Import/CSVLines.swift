/// The records of a CSV file, one at a time: a quoted field may hold line breaks.
///
/// A quote that is never closed costs its own line only: the lines that were read on in search of its end are records of
/// their own again.
struct CSVLines: ~Copyable {
    /// How far the end of a quoted field is looked for.
    static let maximumRecord = 1 << 16

    private struct Line {
        var number: Int
        var bytes: [UInt8]
        var isCRLF: Bool
    }

    var reader: LineReader
    /// The line on which the last record begins.
    private(set) var line = 0
    private(set) var record = CSVRecord()
    /// Lines that were read ahead.
    private var ahead: [Line] = []

    init(_ reader: consuming LineReader) {
        self.reader = reader
    }

    /// Goes to the next record, passing over empty lines; false after the last. The record's fields hold until `clear`.
    mutating func next(columns: Int?) throws(ImportError) -> Result<Void, Rejection>? {
        while true {
            if let first = self.ahead.isEmpty ? nil : self.ahead.removeFirst() {
                self.line = first.number
                guard !first.bytes.isEmpty else { continue }
                return try self.parse(first.bytes[...], isCRLF: first.isCRLF, columns: columns)
            }
            guard let bytes = try self.reader.next() else { return nil }
            self.line = self.reader.line
            guard !bytes.isEmpty else { continue }
            return try self.parse(bytes, isCRLF: self.reader.lineWasCRLF, columns: columns)
        }
    }

    /// Lets go of the record, so that the reader need not copy its buffer.
    mutating func clear() { self.record.clear() }

    private mutating func parse(
        _ bytes: ArraySlice<UInt8>,
        isCRLF: Bool,
        columns: Int?
    ) throws(ImportError) -> Result<Void, Rejection> {
        do throws(Rejection) {
            try self.record.parse(bytes, columns: columns)
            return .success(())
        } catch {
            guard self.record.isOpen else { return .failure(error) }
        }
        self.record.clear()
        return try self.parseOn(Array(bytes), isCRLF: isCRLF, columns: columns)
    }

    /// Reads on until a quoted field ends.
    private mutating func parseOn(
        _ first: [UInt8],
        isCRLF: Bool,
        columns: Int?
    ) throws(ImportError) -> Result<Void, Rejection> {
        var joined = first
        var isCRLF = isCRLF
        var taken: [Line] = []
        while joined.count <= Self.maximumRecord {
            let next: Line
            if !self.ahead.isEmpty {
                next = self.ahead.removeFirst()
            } else if let bytes = try self.reader.next() {
                next = Line(number: self.reader.line, bytes: Array(bytes), isCRLF: self.reader.lineWasCRLF)
            } else {
                break
            }
            taken.append(next)
            joined += isCRLF ? [0x0D, 0x0A] : [0x0A]
            joined += next.bytes
            isCRLF = next.isCRLF
            guard next.bytes.contains(UInt8(ascii: "\"")) else { continue }
            do throws(Rejection) {
                try self.record.parse(joined[...], columns: columns)
                return .success(())
            } catch {
                guard !self.record.isOpen else { continue }
                break
            }
        }
        self.record.clear()
        self.ahead.insert(contentsOf: taken, at: 0)
        return .failure(.badQuoting)
    }
}
