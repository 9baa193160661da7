import RecommendationCore

/// A user's newest events as weights of distinct items, and what all the events say about which items may be shown.
struct WeighedHistory {
    /// Newest events that say something about taste.
    static let limit = 500

    /// Distinct items of the newest events, in order of first appearance.
    private(set) var items: [Item.Number] = []
    /// The sum over an item's events of weight times decay.
    private(set) var weights: [Float] = []
    /// Distinct items with an event other than a view.
    private(set) var seen: [Item.Number] = []
    /// Distinct items that were hidden or disliked; they are in ``seen`` too.
    private(set) var banned: [Item.Number] = []
    /// Whether one of the newest events is positive.
    private(set) var isPersonal = false

    /// Takes the place of the last history.
    ///
    /// Events of items beyond `scratch` are newer than the model and say nothing here.
    mutating func weigh(
        _ events: Span<HistoryEvent>,
        terms: EventTerms,
        itemCount: Int,
        scratch: inout ItemScratch
    ) {
        self.items.removeAll(keepingCapacity: true)
        self.weights.removeAll(keepingCapacity: true)
        self.seen.removeAll(keepingCapacity: true)
        self.banned.removeAll(keepingCapacity: true)
        self.isPersonal = false

        var ratings = RatingScale()
        var isNewestFirst = true
        var previous = Timestamp(microseconds: .max)
        for index in events.indices {
            let event = events[index]
            isNewestFirst = isNewestFirst && event.occurredAt <= previous
            previous = event.occurredAt
            if event.type == .rating { ratings.add(event.value) }
            guard event.type != .view, Int(event.item) < itemCount else { continue }
            if scratch.mark(event.item, .seen) { self.seen.append(event.item) }
            guard event.type == .hide || event.type == .dislike else { continue }
            if scratch.mark(event.item, .banned) { self.banned.append(event.item) }
        }
        if isNewestFirst {
            self.weigh(newestFirst: events, ratings, terms, itemCount, &scratch)
        } else {
            let sorted = Self.newestFirst(events)
            self.weigh(newestFirst: sorted.span, ratings, terms, itemCount, &scratch)
        }
    }

    private mutating func weigh(
        newestFirst events: Span<HistoryEvent>,
        _ ratings: RatingScale,
        _ terms: EventTerms,
        _ itemCount: Int,
        _ scratch: inout ItemScratch
    ) {
        guard !events.isEmpty else { return }
        let newest = events[0].occurredAt
        for index in 0..<min(events.count, Self.limit) {
            let event = events[index]
            let factor = event.type == .rating ? ratings.factor(of: event.value) : 1
            let weight = terms.weights[event.type.code] * factor
            self.isPersonal = self.isPersonal || weight > 0
            guard Int(event.item) < itemCount else { continue }
            let age = (Double(newest.microseconds) - Double(event.occurredAt.microseconds)) / 1_000_000
            let decayed = Float(Double(weight) * terms.decay.factor(ageInSeconds: age))
            let slot = scratch.slot(of: event.item)
            if slot == 0 {
                self.items.append(event.item)
                self.weights.append(decayed)
                scratch.setSlot(UInt16(self.items.count), of: event.item)
            } else {
                self.weights[Int(slot) - 1] += decayed
            }
        }
        for item in self.items { scratch.setSlot(0, of: item) }
    }

    private static func newestFirst(_ events: Span<HistoryEvent>) -> [HistoryEvent] {
        let times = events.indices.map { events[$0].occurredAt }
        return times.indices
            .sorted { times[$0] != times[$1] ? times[$0] > times[$1] : $0 < $1 }
            .map { events[$0] }
    }
}
