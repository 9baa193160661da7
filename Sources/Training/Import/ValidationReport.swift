/// What a validation found.
package struct ValidationReport: Equatable, Sendable {
    /// Lines or records that were read, by what they hold; of LightGCN, words.
    package var items = 0
    package var users = 0
    package var interactions = 0
    /// What an import would leave out, and events that the file has twice: the first of them, and counts by reason.
    package var rejected = RejectedLines()
    /// Events that happened before the one on the line before.
    package var outOfOrder = 0
    /// The line of the first of them.
    package var firstOutOfOrder: RejectedPlace?
    package var duration = Duration.zero

    package init() {}

    /// A line of a file.
    package struct RejectedPlace: Equatable, Sendable {
        package var file: String
        package var line: Int
    }

    package var rows: Int { self.items + self.users + self.interactions }
    package var isClean: Bool { self.rejected.count == 0 }
    package var unknownItems: Int { self.rejected.reasons["unknown_item"] ?? 0 }
    package var unknownTypes: Int { self.rejected.reasons["unknown_type"] ?? 0 }
    package var duplicates: Int {
        ["duplicate_item", "duplicate_user", "duplicate_event"].reduce(0) { $0 + (self.rejected.reasons[$1] ?? 0) }
    }
    /// All others.
    package var badFields: Int { self.rejected.count - self.unknownItems - self.unknownTypes - self.duplicates }
}
