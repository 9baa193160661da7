import RecommendationCore

/// One history of what a user did before and what happens in the session, each event once.
struct SessionHistory {
    /// What makes two events one.
    private struct Occurrence: Hashable {
        let item: Item.Number
        let type: EventType
        let occurredAt: Timestamp

        init(_ event: HistoryEvent) {
            self.item = event.item
            self.type = event.type
            self.occurredAt = event.occurredAt
        }
    }

    private let catalog: Catalog
    /// Newest first.
    private let history: [HistoryEvent]
    private let known: Set<Occurrence>

    /// - Parameters:
    ///   - history: Newest first.
    ///   - oldest: No event that comes from the session is older.
    init(_ history: [HistoryEvent], since oldest: Timestamp?, catalog: Catalog) {
        self.catalog = catalog
        self.history = history
        self.known = Set(oldest.map { oldest in history.prefix { $0.occurredAt >= oldest }.map(Occurrence.init) } ?? [])
    }

    /// The event as a history has it; nil where its item is not, or no more, in the catalogue.
    private func event(_ item: Item.ID, _ type: EventType, _ value: Float, _ occurredAt: Timestamp) -> HistoryEvent? {
        self.catalog.number(of: item).map {
            HistoryEvent(item: $0, type: type, value: value, occurredAt: occurredAt)
        }
    }

    private func event(_ kept: SessionEvent) -> HistoryEvent? {
        self.event(kept.item, kept.type, kept.value, kept.occurredAt)
    }

    /// Events of the session that the history does not hold: they are of another user, or of one who does not allow that a
    /// history is read, or the store holds them no more.
    func unknown(of kept: [SessionEvent]) -> [SessionEvent] {
        kept.filter { kept in self.event(kept).map { !self.known.contains(Occurrence($0)) } ?? false }
    }

    /// All that counts, newest first.
    ///
    /// - Parameters:
    ///   - given: What the request tells.
    ///   - kept: All that is kept of the session.
    ///   - counted: What of it counts beside the history.
    func merged(
        _ given: [SessionRequest.Event],
        kept: [SessionEvent],
        counted: [SessionEvent],
        now: Timestamp
    ) -> [HistoryEvent] {
        var seen = self.known
        var session: [HistoryEvent] = []
        for event in counted.compactMap(self.event) where seen.insert(Occurrence(event)).inserted {
            session.append(event)
        }
        for event in given {
            // Without a time it is the one that is kept.
            if event.occurredAt == nil, kept.contains(where: { $0.item == event.item && $0.type == event.type }) {
                continue
            }
            guard let event = self.event(event.item, event.type, event.value, event.occurredAt ?? now),
                seen.insert(Occurrence(event)).inserted
            else { continue }
            session.append(event)
        }
        session.sort { $0.occurredAt > $1.occurredAt }
        var merged: [HistoryEvent] = []
        merged.reserveCapacity(session.count + self.history.count)
        var rest = self.history[...]
        for event in session {
            while let first = rest.first, first.occurredAt > event.occurredAt { merged.append(rest.removeFirst()) }
            merged.append(event)
        }
        return merged + rest
    }
}
