import RecommendationCore

/// `train.txt` of a folder as LightGCN and its successors publish their data: `user item item …` a line.
///
/// Ids are kept as text. There are no times: an event happened at 2020-01-01 plus the place of its item in the line, in
/// seconds, as a click. Items that the catalogue does not have are made, with their id as title.
struct LightGCNReader: ImportSource, ~Copyable {
    static let file = "train.txt"
    /// 2020-01-01T00:00:00Z.
    static let start = Timestamp(seconds: 1_577_836_800)

    let extent: ImportExtent
    private var lines: LineReader
    private var seen: Set<Item.ID> = []
    /// What is left of a line that was longer than a part.
    private var rest: [ImportedInteraction] = []
    private var isLast = false

    init(folder: String) throws(ImportError) {
        let lines = try LineReader(path: "\(folder)/\(Self.file)")
        guard lines.size > 0 else { throw .unreadable(path: lines.path, reason: "it is empty") }
        self.extent = .bytes(lines.size)
        self.lines = lines
    }

    mutating func next(limit: Int) throws(ImportError) -> ImportPart? {
        guard !self.isLast else { return nil }
        var batch = ImportBatch<ImportedInteraction>(file: Self.file)
        batch.rows.reserveCapacity(limit)
        var count = 0
        let start = self.lines.offset
        while true {
            let taken = min(limit - count, self.rest.count)
            if taken > 0 {
                self.add(self.rest.prefix(taken), to: &batch)
                self.rest.removeFirst(taken)
                count += taken
            }
            guard count < limit, self.lines.offset - start < ImportPart.bytes else { break }
            guard let line = try self.lines.next() else {
                self.isLast = true
                batch.isLast = true
                break
            }
            count += self.read(line, into: &batch)
        }
        batch.bytes = self.lines.offset
        return .interactions(batch)
    }

    /// Moves the line's interactions to the rest; returns how many were rejected.
    private mutating func read(_ line: ArraySlice<UInt8>, into batch: inout ImportBatch<ImportedInteraction>) -> Int {
        var user: User.ID?
        var position: Int64 = 0
        var rejected = 0
        self.rest.removeAll(keepingCapacity: true)
        var at = line.startIndex
        while at < line.endIndex {
            let end = line[at...].firstIndex { $0 == 0x20 || $0 == 0x09 } ?? line.endIndex
            let word = line[at..<end]
            at = end < line.endIndex ? end + 1 : end
            guard !word.isEmpty else { continue }
            do throws(Rejection) {
                guard let user else {
                    user = try Field.id(word, "user")
                    continue
                }
                position += 1
                self.rest.append(
                    ImportedInteraction(
                        line: self.lines.line,
                        user: user,
                        item: try Field.id(word, "item"),
                        type: .click,
                        value: 1,
                        occurredAt: Timestamp(microseconds: Self.start.microseconds + (position - 1) * 1_000_000)
                    )
                )
            } catch {
                rejected += 1
                batch.rejected.add(RejectedLine(file: Self.file, line: self.lines.line, reason: error))
                // Without a user, nothing of the line can be used.
                guard user != nil else { break }
            }
        }
        return rejected
    }

    private mutating func add(
        _ interactions: ArraySlice<ImportedInteraction>,
        to batch: inout ImportBatch<ImportedInteraction>
    ) {
        for interaction in interactions where self.seen.insert(interaction.item).inserted {
            batch.newItems.append(Item(id: interaction.item, title: interaction.item.string))
        }
        batch.rows += interactions
    }
}
