import RecommendationCore
import RecommendationEngine

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var word = self.state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

let someTime = Timestamp(seconds: 1_700_000_000)

/// A row of interactions as tests write them.
struct Row {
    var user: UInt32
    var item: UInt32
    var type: EventType = .click
    var value: Float = 1
    var day: Double = 0
}

extension InteractionColumns {
    init(_ rows: [Row]) {
        self.init()
        for row in rows {
            self.append(
                user: row.user,
                item: row.item,
                type: row.type.code,
                value: row.value,
                seconds: 1_700_000_000 + Int64(row.day * 86_400)
            )
        }
    }
}

func fit(
    _ rows: [Row],
    items: Int,
    categories: [[UInt32]] = [],
    recipe: Recipe = .cosine,
    threads: Int = 1
) throws -> Snapshot {
    let input = FitInput(
        interactions: InteractionColumns(rows),
        itemCount: items,
        categories: CategorySets(categories),
        builtAt: someTime
    )
    return try SnapshotBuilder.fit(input, recipe: recipe, threads: threads)
}

func event(_ item: Item.Number, _ type: EventType = .click, value: Float = 1, daysAgo: Double = 0) -> HistoryEvent {
    let microseconds = someTime.microseconds - Int64(daysAgo * 86_400_000_000)
    return HistoryEvent(
        item: item,
        type: type,
        value: value,
        occurredAt: Timestamp(microseconds: microseconds)
    )
}

/// Rows of every type, users drawn evenly and items with a bias towards low numbers.
func randomRows(_ count: Int, users: Int, items: Int, using generator: inout SeededGenerator) -> [Row] {
    var rows: [Row] = []
    var indices: [Int: UInt32] = [:]
    for _ in 0..<count {
        let user = Int.random(in: 0..<users, using: &generator)
        let index = indices[user] ?? UInt32(indices.count)
        indices[user] = index
        let item = min(
            Int.random(in: 0..<items, using: &generator),
            Int.random(in: 0..<items, using: &generator)
        )
        rows.append(
            Row(
                user: index,
                item: UInt32(item),
                type: EventType.allCases.randomElement(using: &generator) ?? .click,
                value: Float(Int.random(in: 1...5, using: &generator)),
                day: Double.random(in: -90...0, using: &generator)
            )
        )
    }
    return rows
}

func randomCategories(_ items: Int, kinds: UInt32, using generator: inout SeededGenerator) -> [[UInt32]] {
    (0..<items).map { _ in
        (0..<Int.random(in: 0...3, using: &generator)).map { _ in UInt32.random(in: 0..<kinds, using: &generator) }
    }
}

func randomHistory(_ count: Int, items: Int, using generator: inout SeededGenerator) -> [HistoryEvent] {
    var days = 0.0
    return (0..<count).map { _ in
        days += Double.random(in: 0...2, using: &generator)
        return event(
            UInt32.random(in: 0..<UInt32(items), using: &generator),
            EventType.allCases.randomElement(using: &generator) ?? .click,
            value: Float(Int.random(in: 1...5, using: &generator)),
            daysAgo: days
        )
    }
}

func bitmap(_ items: some Sequence<Item.Number>, count: Int) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: (count + 63) / 64)
    for item in items { words[Int(item / 64)] |= 1 << UInt64(item % 64) }
    return words
}
