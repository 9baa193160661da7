package import RecommendationCore
import RecommendationEngine

/// The events of every user, in one run of memory.
package struct Histories: Sendable {
    /// Where a user's events begin; one more than there are users.
    private let offsets: [Int]
    private let events: [HistoryEvent]

    /// Newest first, of one time the later row first.
    init(_ columns: InteractionColumns, userCount: Int) {
        var offsets = [Int](repeating: 0, count: userCount + 1)
        for row in 0..<columns.count where columns.event(row) != nil {
            offsets[Int(columns.users[row]) + 1] += 1
        }
        for user in 0..<userCount { offsets[user + 1] += offsets[user] }
        var next = offsets
        let none = HistoryEvent(item: 0, type: .view, value: 0, occurredAt: Timestamp(microseconds: 0))
        var events = [HistoryEvent](repeating: none, count: offsets[userCount])
        // From the last row to the first: rows mostly come in order of time, and are then in place at once.
        for row in stride(from: columns.count - 1, through: 0, by: -1) {
            guard let event = columns.event(row) else { continue }
            let user = Int(columns.users[row])
            events[next[user]] = event
            next[user] += 1
        }
        for user in 0..<userCount {
            let range = offsets[user]..<offsets[user + 1]
            let isSorted = zip(events[range], events[range].dropFirst()).allSatisfy { $0.occurredAt >= $1.occurredAt }
            guard !isSorted else { continue }
            // The library's sort keeps the order of equals.
            events[range].sort { $0.occurredAt > $1.occurredAt }
        }
        self.offsets = offsets
        self.events = events
    }

    /// How many events a user has.
    package func count(of user: Int) -> Int { self.offsets[user + 1] - self.offsets[user] }

    /// Hands out the events of a user, newest first.
    package func with<Result>(_ user: Int, _ body: (Span<HistoryEvent>) throws -> Result) rethrows -> Result {
        try body(self.events.span.extracting(self.offsets[user]..<self.offsets[user + 1]))
    }

    package subscript(user: Int) -> [HistoryEvent] { Array(self.events[self.offsets[user]..<self.offsets[user + 1]]) }
}
