import RecommendationCore

/// A file of documents of one kind: a JSON object a line, or CSV with the names of the fields as its header.
struct DocumentReader: ImportSource, ~Copyable {
    let extent: ImportExtent
    private let kind: DocumentKind
    private let file: String
    private var lines: CSVLines
    /// The field of each column of a CSV file; nil for NDJSON.
    private let columns: [Int]?
    private var document: Document
    private var line = 0
    private var isLast = false
    private var seenItems: Set<Item.ID> = []
    private var seenUsers: Set<User.ID> = []

    /// Opens a file with a JSON object a line.
    init(ndjson path: String, kind: DocumentKind) throws(ImportError) {
        let reader = try LineReader(path: path)
        self.extent = .bytes(reader.size)
        self.kind = kind
        self.file = Self.name(of: path)
        self.document = Document(kind.fields)
        self.columns = nil
        self.lines = CSVLines(reader)
    }

    /// Opens a CSV file and checks its header.
    init(csv path: String, kind: DocumentKind) throws(ImportError) {
        let reader = try LineReader(path: path)
        let size = reader.size
        var lines = CSVLines(reader)
        let columns = try Self.header(of: &lines, path: path, fields: kind.fields)
        self.extent = .bytes(size)
        self.kind = kind
        self.file = Self.name(of: path)
        self.document = Document(kind.fields)
        self.columns = columns
        self.lines = lines
    }

    private static func name(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    private static func header(
        of lines: inout CSVLines,
        path: String,
        fields: [String]
    ) throws(ImportError) -> [Int] {
        let result = try lines.next(columns: nil)
        var columns: [Int] = []
        var found = ""
        if case .success? = result {
            found = lines.record.fields.map { String(decoding: $0.prefix(80), as: UTF8.self) }.joined(separator: ",")
            columns = lines.record.fields.compactMap { name in fields.firstIndex { name.elementsEqual($0.utf8) } }
            let count = lines.record.fields.count
            lines.clear()
            if columns.count == count, Set(columns).count == count { return columns }
        }
        throw .badHeader(
            path: path,
            expected: "some of \(fields.joined(separator: ",")), each once",
            found: String(found.prefix(200))
        )
    }

    mutating func next(limit: Int) throws(ImportError) -> ImportPart? {
        guard !self.isLast else { return nil }
        switch self.kind {
        case .items:
            return .items(
                try self.batch(limit: min(limit, ImportPart.documents)) { reader throws(Rejection) in
                    let item = try ItemDocument.item(reader.document)
                    guard reader.seenItems.insert(item.item.id).inserted else { throw .duplicateItem }
                    return item
                }
            )
        case .users:
            return .users(
                try self.batch(limit: min(limit, ImportPart.documents)) { reader throws(Rejection) in
                    let user = try UserDocument.user(reader.document)
                    guard reader.seenUsers.insert(user.id).inserted else { throw .duplicateUser }
                    return user
                }
            )
        case .feedback:
            return .interactions(
                try self.batch(limit: limit) { reader throws(Rejection) in
                    try FeedbackDocument.interaction(reader.document, line: reader.line)
                }
            )
        }
    }

    private mutating func batch<Row>(
        limit: Int,
        _ make: (inout Self) throws(Rejection) -> Row
    ) throws(ImportError) -> ImportBatch<Row> {
        var batch = ImportBatch<Row>(file: self.file)
        batch.rows.reserveCapacity(limit)
        let start = self.offset
        var count = 0
        while count < limit, self.offset - start < ImportPart.bytes {
            guard let result = try self.readDocument() else {
                self.isLast = true
                batch.isLast = true
                break
            }
            count += 1
            do throws(Rejection) {
                try result.get()
                batch.rows.append(try make(&self))
            } catch {
                batch.rejected.add(RejectedLine(file: self.file, line: self.line, reason: error))
            }
        }
        batch.bytes = self.offset
        return batch
    }

    private var offset: Int { self.lines.reader.offset }

    /// Fills the document from the next line that is not empty; nil after the last.
    private mutating func readDocument() throws(ImportError) -> Result<Void, Rejection>? {
        self.document.clear()
        if let columns { return try self.readRecord(columns) }
        while let bytes = try self.lines.reader.next() {
            self.line = self.lines.reader.line
            guard !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) else { continue }
            do throws(Rejection) {
                try JSONLine.read(bytes, into: &self.document)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        return nil
    }

    private mutating func readRecord(_ columns: [Int]) throws(ImportError) -> Result<Void, Rejection>? {
        guard let result = try self.lines.next(columns: columns.count) else { return nil }
        self.line = self.lines.line
        defer { self.lines.clear() }
        guard case .success = result else { return result }
        do throws(Rejection) {
            for (place, field) in columns.enumerated() {
                let bytes = self.lines.record.fields[place]
                guard !bytes.isEmpty else { continue }
                self.document.set(field, to: .cell(try Field.text(bytes, self.document.names[field])))
            }
            return .success(())
        } catch {
            return .failure(error)
        }
    }
}
