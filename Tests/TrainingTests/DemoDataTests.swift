import RecommendationCore
import Testing

@testable import Training

@Suite("DemoData")
struct DemoDataTests {
    private let data: DemoData
    private let catalogue: DemoCatalogue
    private let rows: [ImportedInteraction]

    init() throws {
        self.data = try DemoData(users: 2_000, items: 1_000, interactions: 50_000, seed: 42)
        self.catalogue = DemoCatalogue(self.data)
        self.rows = Array(DemoInteractions(self.data, catalogue: self.catalogue))
    }

    /// FNV-1a, 64 bits.
    private struct Checksum {
        private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ text: String) {
            for byte in text.utf8 { self.value = (self.value ^ UInt64(byte)) &* 0x100_0000_01B3 }
            self.value = (self.value ^ 0xFF) &* 0x100_0000_01B3
        }
    }

    @Test("the same seed gives the same interactions on every machine")
    func interactionsAreFixed() {
        var checksum = Checksum()
        for row in self.rows.prefix(10_000) {
            checksum.add("\(row.line) \(row.user) \(row.item) \(row.type.rawValue) \(row.value.bitPattern)")
            checksum.add("\(row.occurredAt.microseconds)")
        }
        #expect(checksum.value == 10_765_654_281_450_554_749)
    }

    @Test("the same seed gives the same items on every machine")
    func itemsAreFixed() {
        var checksum = Checksum()
        for item in self.catalogue {
            checksum.add("\(item.id) \(item.title) \(item.creator ?? "-") \(item.price?.bitPattern ?? 0)")
            for category in item.categories { checksum.add(category) }
        }
        #expect(checksum.value == 9_063_829_663_387_065_921)
    }

    @Test("another seed gives other data")
    func otherSeed() throws {
        let other = try DemoData(users: 2_000, items: 1_000, interactions: 50_000, seed: 43)
        let catalogue = DemoCatalogue(other)
        let rows = Array(DemoInteractions(other, catalogue: catalogue).prefix(100))
        #expect(rows.map(\.user) != self.rows.prefix(100).map(\.user))
        #expect(catalogue.prefix(10).map(\.title) != self.catalogue.prefix(10).map(\.title))
    }

    @Test("ids are a letter and at least six digits, from one")
    func ids() throws {
        #expect(DemoData.userID(1).string == "u000001")
        #expect(DemoData.itemID(999_999).string == "i999999")
        #expect(DemoData.userID(10_000_000).string == "u10000000")
        let users = Set((1...2_000).map(DemoData.userID))
        let items = Set(self.catalogue.map(\.id))
        #expect(self.catalogue.first?.id.string == "i000001")
        #expect(self.catalogue.last?.id.string == "i001000")
        #expect(self.rows.allSatisfy { users.contains($0.user) && items.contains($0.item) && $0.eventID == nil })
    }

    @Test("titles are distinct, also beyond the words")
    func titles() throws {
        #expect(DemoWords.titleCount == 4_096)
        let catalogue = DemoCatalogue(try DemoData(users: 1, items: 10_000, interactions: 0, seed: 7))
        let titles = catalogue.map(\.title)
        #expect(Set(titles).count == titles.count)
        #expect(titles.prefix(4_096).allSatisfy { $0.hasPrefix("The ") && !$0.contains { $0.isNumber } })
    }

    @Test("items have one to three different genres, mostly of their cluster")
    func genres() {
        #expect(DemoWords.genres.count == 20)
        #expect(self.catalogue.allSatisfy { (1...3).contains($0.categories.count) })
        #expect(self.catalogue.allSatisfy { Set($0.categories).count == $0.categories.count })
        // Four genres of a cluster's items stand out; with genres by chance four would have a fifth of all.
        var shares: [Double] = []
        for cluster in 0..<self.catalogue.clusterCount {
            let indices = self.catalogue.indices.filter { self.catalogue.cluster(of: $0) == cluster }
            let counts = Dictionary(
                indices.flatMap { self.catalogue[$0].categories }.map { ($0, 1) },
                uniquingKeysWith: +
            )
            let total = counts.values.reduce(0, +)
            shares.append(Double(counts.values.sorted(by: >).prefix(4).reduce(0, +)) / Double(total))
        }
        #expect(shares.allSatisfy { $0 > 0.6 })
    }

    @Test("some items have a price; few creators have many items")
    func pricesAndCreators() {
        let priced = self.catalogue.compactMap(\.price)
        #expect((600...800).contains(priced.count))
        #expect(priced.allSatisfy { $0 >= 2.99 && $0 < 45 })
        let counts = Dictionary(self.catalogue.compactMap(\.creator).map { ($0, 1) }, uniquingKeysWith: +)
        #expect(counts.keys.allSatisfy { $0.hasPrefix("creator-") })
        #expect(counts.values.max()! > 4 * 1_000 / 50)
        #expect(counts.count > 30)
    }

    @Test("the popular tenth of the items has most of the interactions, and the tail is not empty")
    func popularity() {
        let counts = Dictionary(self.rows.map { ($0.item, 1) }, uniquingKeysWith: +)
        let head = counts.values.sorted(by: >).prefix(100).reduce(0, +)
        let share = Double(head) / Double(self.rows.count)
        #expect((0.35...0.7).contains(share), "\(share)")
        #expect(counts.count > 950, "\(counts.count)")
    }

    @Test("activity is uneven, a fiftieth of the users is cold, the first is not")
    func activity() throws {
        let counts = Dictionary(self.rows.map { ($0.user, 1) }, uniquingKeysWith: +)
        let cold = 2_000 - counts.count
        #expect((20...70).contains(cold), "\(cold)")
        #expect(counts[DemoData.userID(1), default: 0] >= 5)
        let head = counts.values.sorted(by: >).prefix(200).reduce(0, +)
        let share = Double(head) / Double(self.rows.count)
        #expect((0.25...0.5).contains(share), "\(share)")
    }

    @Test("a user's interactions gather in one to three clusters")
    func taste() throws {
        var clusters: [User.ID: [Int: Int]] = [:]
        for row in self.rows {
            let index = try #require(Int(row.item.string.dropFirst())) - 1
            clusters[row.user, default: [:]][self.catalogue.cluster(of: index), default: 0] += 1
        }
        var shares: [Double] = []
        for counts in clusters.values {
            let total = counts.values.reduce(0, +)
            guard total >= 30 else { continue }
            shares.append(Double(counts.values.sorted(by: >).prefix(3).reduce(0, +)) / Double(total))
        }
        #expect(shares.count > 200)
        // By chance three of twenty clusters would have about a quarter.
        #expect(shares.reduce(0, +) / Double(shares.count) > 0.7)
    }

    @Test("event types have their shares, ratings are halves from 1 to 5, others are 1")
    func types() {
        let expected: [EventType: Double] = [
            .view: 0.55, .click: 0.25, .addToCart: 0.06, .purchase: 0.05, .rating: 0.05, .like: 0.04,
        ]
        let counts = Dictionary(self.rows.map { ($0.type, 1.0) }, uniquingKeysWith: +)
        #expect(Set(counts.keys) == Set(expected.keys))
        for (type, share) in expected {
            #expect(abs(counts[type, default: 0] / Double(self.rows.count) - share) < 0.01, "\(type)")
        }
        let ratings = Set(self.rows.filter { $0.type == .rating }.map(\.value))
        #expect(ratings == Set((2...10).map { Float($0) / 2 }))
        #expect(self.rows.allSatisfy { $0.type == .rating || $0.value == 1 })
    }

    @Test("times go through ninety days up to the fixed end, no two the same")
    func times() throws {
        #expect(DemoData.end.rfc3339 == "2026-09-01T00:00:00.000Z")
        let start = Timestamp(microseconds: DemoData.end.microseconds - 90 * 86_400_000_000)
        #expect(zip(self.rows, self.rows.dropFirst()).allSatisfy { $0.occurredAt < $1.occurredAt })
        let (first, last) = (try #require(self.rows.first), try #require(self.rows.last))
        #expect(first.occurredAt >= start && last.occurredAt < DemoData.end)
        #expect(last.occurredAt.microseconds - first.occurredAt.microseconds > 89 * 86_400_000_000)
    }

    @Test(
        "the smallest sizes work",
        arguments: [(1, 1, 0), (1, 1, 10), (1, 49, 10), (3, 101, 1)]
    )
    func small(users: Int, items: Int, interactions: Int) throws {
        let data = try DemoData(users: users, items: items, interactions: interactions, seed: 0)
        let catalogue = DemoCatalogue(data)
        #expect(catalogue.count == items)
        #expect(Array(DemoInteractions(data, catalogue: catalogue)).count == interactions)
    }

    @Test(
        "sizes out of range are refused by name",
        arguments: [
            (0, 1, 1, "users must be 1 to 10000000, not 0"),
            (1, 1_000_001, 1, "items must be 1 to 1000000, not 1000001"),
            (1, 1, -1, "interactions must be 0 to 100000000, not -1"),
        ]
    )
    func ranges(users: Int, items: Int, interactions: Int, message: String) {
        let error = #expect(throws: ImportError.self) {
            try DemoData(users: users, items: items, interactions: interactions, seed: 0)
        }
        #expect(error?.description == message)
    }

    @Test(
        "the series for e to the power of x agrees to nine digits",
        arguments: [
            (-6.0, 0.0024787521766663585), (0, 1), (1, 2.718281828459045), (6, 403.4287934927351),
        ]
    )
    func exponential(x: Double, expected: Double) {
        #expect(abs(DemoInteractions.exponential(x) / expected - 1) < 1e-9)
    }
}
