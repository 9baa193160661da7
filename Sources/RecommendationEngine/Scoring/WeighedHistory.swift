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
    mutating func weigh(_ events: [HistoryEvent], policy: Policy, itemCount: Int, scratch: inout ItemScratch) {
        self.items.removeAll(keepingCapacity: true)
        self.weights.removeAll(keepingCapacity: true)
        self.seen.removeAll(keepingCapacity: true)
        self.banned.removeAll(keepingCapacity: true)
        self.isPersonal = false

        var ratings = RatingScale()
        for event in events {
            if event.type == .rating { ratings.add(event.value) }
            guard event.type != .view, Int(event.item) < itemCount else { continue }
            if scratch.mark(event.item, .seen) { self.seen.append(event.item) }
            guard event.type == .hide || event.type == .dislike else { continue }
            if scratch.mark(event.item, .banned) { self.banned.append(event.item) }
        }
        let newestFirst = Self.isNewestFirst(events) ? events : Self.newestFirst(events)
        guard let newest = newestFirst.first?.occurredAt else { return }
        let eventWeights = EventWeights(policy.eventWeights)
        let decay = Decay(halfLifeDays: policy.halfLifeDays)
        for event in newestFirst.prefix(Self.limit) {
            let factor = event.type == .rating ? ratings.factor(of: event.value) : 1
            let weight = eventWeights[event.type.code] * factor
            self.isPersonal = self.isPersonal || weight > 0
            guard Int(event.item) < itemCount else { continue }
            let age = (Double(newest.microseconds) - Double(event.occurredAt.microseconds)) / 1_000_000
            let decayed = Float(Double(weight) * decay.factor(ageInSeconds: age))
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

    private static func isNewestFirst(_ events: [HistoryEvent]) -> Bool {
        zip(events, events.dropFirst()).allSatisfy { $0.occurredAt >= $1.occurredAt }
    }

    private static func newestFirst(_ events: [HistoryEvent]) -> [HistoryEvent] {
        events.indices
            .sorted {
                let (left, right) = (events[$0].occurredAt, events[$1].occurredAt)
                return left != right ? left > right : $0 < $1
            }
            .map { events[$0] }
    }
}
