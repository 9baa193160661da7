import Glibc
import RecommendationCore
import Testing

@testable import RecommendationEngine

@Suite struct TrendsTests {
    private func row(_ item: UInt32, hoursAgo: Double, _ type: EventType = .click, user: UInt32 = 0) -> Row {
        Row(user: user, item: item, type: type, day: -hoursAgo / 24)
    }

    @Test("counts halve with each window, and the order is theirs")
    func decay() throws {
        let rows = [
            self.row(0, hoursAgo: 0), self.row(1, hoursAgo: 1), self.row(2, hoursAgo: 3, .purchase),
            self.row(3, hoursAgo: 24, .purchase), self.row(4, hoursAgo: 24 * 7, .purchase),
        ]
        let snapshot = try fit(rows, items: 6)
        let hour = snapshot.trending(in: .hour)
        #expect(hour.map(\.item) == [0, 2, 1], "a day is beyond eight hours")
        #expect(hour[0].weight == 1)
        #expect(abs(Double(hour[1].weight) - log1p(5.0 / 8) / log1p(1)) < 0.001)
        #expect(abs(Double(hour[2].weight) - log1p(0.5) / log1p(1)) < 0.001)
        #expect(snapshot.trending(in: .day).map(\.item) == [2, 3, 0, 1, 4])
        #expect(snapshot.trending(in: .week).map(\.item) == [2, 3, 4, 0, 1])
    }

    @Test("what was rejected more than used does not trend; nothing trends without events")
    func negative() throws {
        let rows = [self.row(0, hoursAgo: 0), self.row(1, hoursAgo: 0), self.row(1, hoursAgo: 0, .hide, user: 1)]
        #expect(try fit(rows, items: 2).trending(in: .day).map(\.item) == [0])
        for window in TrendWindow.allCases {
            #expect(try fit([], items: 3).trending(in: window).isEmpty)
            #expect(Snapshot.empty(builtAt: someTime).trending(in: window).isEmpty)
        }
    }

    @Test("rows descend, ties by number, every weight above 0 and at most 1", arguments: [1, 2, 3] as [UInt64])
    func order(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let rows = (0..<3_000).map { _ in
            self.row(
                UInt32.random(in: 0..<400, using: &generator),
                hoursAgo: Double.random(in: 0...200, using: &generator),
                EventType.allCases.randomElement(using: &generator)!
            )
        }
        let snapshot = try fit(rows, items: 400)
        for window in TrendWindow.allCases {
            let trending = snapshot.trending(in: window)
            #expect(!trending.isEmpty)
            #expect(Set(trending.map(\.item)).count == trending.count)
            #expect(trending.allSatisfy { $0.weight > 0 && $0.weight <= 1 })
            for (left, right) in zip(trending, trending.dropFirst()) {
                #expect(left.weight > right.weight || (left.weight == right.weight && left.item < right.item))
            }
        }
    }

    @Test("of a large catalogue the most used are kept")
    func limit() throws {
        let rows = (0..<UInt32(Trends.limit + 50)).map { self.row($0, hoursAgo: $0 < 50 ? 1 : 0) }
        let trending = try fit(rows, items: Trends.limit + 50).trending(in: .day)
        #expect(trending.count == Trends.limit)
        #expect(trending.first?.item == 50)
        #expect(!trending.contains { $0.item < 50 })
    }
}
