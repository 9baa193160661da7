import RecommendationCore

/// What ends when, in order of time.
///
/// A long list that all copies share, of which only the beginning moves, and a short one beside it for what is new: an addition
/// copies the short one, and the two become one when that has grown. What is given another end is added again; whether an
/// entry still counts is asked when its time has come.
struct Expiries: Sendable {
    /// An end, and of what.
    struct Entry: Sendable {
        let end: Timestamp
        let tombstone: Tombstone
    }

    /// Entries of the short list.
    private static let shortCount = 1_024

    /// Both in order of time.
    private var long: ArraySlice<Entry> = []
    private var short: ArraySlice<Entry> = []

    /// The first end.
    var first: Timestamp? {
        guard let long = self.long.first?.end else { return self.short.first?.end }
        return self.short.first.map { min($0.end, long) } ?? long
    }

    /// How many entries are kept, those that do not count any more among them.
    var count: Int { self.long.count + self.short.count }

    /// - Parameter isCurrent: Whether an entry still counts.
    mutating func add(_ entries: [Entry], isCurrent: (Entry) -> Bool) {
        guard !entries.isEmpty else { return }
        var short = Array(self.short)
        if entries.count == 1 {
            let place = short.firstIndex { entries[0].end < $0.end } ?? short.endIndex
            short.insert(entries[0], at: place)
        } else {
            short += entries
            short.sort { $0.end < $1.end }
        }
        if short.count <= Self.shortCount {
            self.short = short[...]
        } else {
            self.long = Self.merged(self.long, short, isCurrent)[...]
            self.short = []
        }
    }

    /// Takes out what ends at a moment or before it.
    mutating func take(through now: Timestamp) -> [Entry] {
        var taken: [Entry] = []
        while let entry = self.long.first, entry.end <= now {
            taken.append(entry)
            self.long = self.long.dropFirst()
        }
        while let entry = self.short.first, entry.end <= now {
            taken.append(entry)
            self.short = self.short.dropFirst()
        }
        return taken
    }

    private static func merged(
        _ long: ArraySlice<Entry>,
        _ short: [Entry],
        _ isCurrent: (Entry) -> Bool
    ) -> [Entry] {
        var merged: [Entry] = []
        merged.reserveCapacity(long.count + short.count)
        var rest = long
        for entry in short where isCurrent(entry) {
            while let next = rest.first, next.end <= entry.end {
                if isCurrent(next) { merged.append(next) }
                rest = rest.dropFirst()
            }
            merged.append(entry)
        }
        merged.append(contentsOf: rest.lazy.filter(isCurrent))
        return merged
    }
}
