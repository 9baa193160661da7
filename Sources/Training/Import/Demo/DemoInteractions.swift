package import RecommendationCore

/// The interactions of a demo data set in order of time, each made when it is asked for; no two have the same time.
package struct DemoInteractions: Sequence, IteratorProtocol, Sendable {
    private static let span = DemoData.days * 86_400_000
    private static let coldPercent = 2
    /// Interactions in a hundred that go by the popularity of the whole catalogue, not by the user's taste.
    private static let noisePercent = 25

    private let data: DemoData
    private let catalogue: DemoCatalogue
    private let activity: AliasTable
    private let overall: AliasTable
    /// One for all clusters, by place within the cluster.
    private let inCluster: AliasTable
    private var generator: SplitMix64
    private var count = 0

    package init(_ data: DemoData, catalogue: DemoCatalogue) {
        self.data = data
        self.catalogue = catalogue
        self.activity = AliasTable(Self.activity(data))
        let clusters = catalogue.clusterCount
        self.overall = AliasTable((0..<data.items).map { 1 / Double($0 + 10) })
        self.inCluster = AliasTable(
            stride(from: 0, to: data.items, by: clusters).map { rank in
                // (rank + 10) to the power of 3/4: flatter than the whole, since every cluster has a head of its own.
                let root = Double(rank + 10).squareRoot()
                return 1 / (root * root.squareRoot())
            }
        )
        self.generator = SplitMix64(seed: data.seed, stream: DemoData.Stream.interaction)
    }

    package mutating func next() -> ImportedInteraction? {
        guard self.count < self.data.interactions else { return nil }
        let from = self.count * Self.span / self.data.interactions
        let to = (self.count + 1) * Self.span / self.data.interactions
        let milliseconds = from + self.generator.below(to - from) - Self.span
        self.count += 1
        let user = self.activity.draw(using: &self.generator)
        let isNoise = self.generator.below(100) < Self.noisePercent
        let rank = isNoise ? self.overall.draw(using: &self.generator) : self.rank(toTasteOf: user)
        let type = self.type()
        return ImportedInteraction(
            line: self.count,
            user: DemoData.userID(user + 1),
            item: DemoData.itemID(self.catalogue.index(ofRank: rank) + 1),
            type: type,
            value: type == .rating ? self.rating(isNoise: isNoise) : 1,
            occurredAt: Timestamp(microseconds: DemoData.end.microseconds + Int64(milliseconds) * 1_000)
        )
    }

    private mutating func rank(toTasteOf user: Int) -> Int {
        var taste = SplitMix64(seed: self.data.seed, stream: DemoData.Stream.taste, index: user)
        // One cluster for 3 in 10 users, two for 4, three for 3; the first counts most.
        let size = [1, 1, 1, 2, 2, 2, 2, 3, 3, 3][taste.below(10)]
        let part = self.generator.below(10)
        let place =
            switch size {
            case 1: 0
            case 2: part < 7 ? 0 : 1
            default: part < 6 ? 0 : part < 9 ? 1 : 2
            }
        var cluster = 0
        for _ in 0...place { cluster = taste.below(self.catalogue.clusterCount) }
        while true {
            let rank = cluster + self.catalogue.clusterCount * self.inCluster.draw(using: &self.generator)
            // Some clusters have one item less than the first.
            if rank < self.data.items { return rank }
        }
    }

    private mutating func type() -> EventType {
        switch self.generator.below(100) {
        case ..<55: .view
        case ..<80: .click
        case ..<86: .addToCart
        case ..<91: .purchase
        case ..<96: .rating
        default: .like
        }
    }

    /// 1 to 5 in halves, 3 at least for what is to the user's taste.
    private mutating func rating(isNoise: Bool) -> Float {
        Float(isNoise ? 2 + self.generator.below(9) : 6 + self.generator.below(5)) / 2
    }

    /// Lognormal with deviation 1; zero for the cold.
    ///
    /// The first user is never among them.
    private static func activity(_ data: DemoData) -> [Double] {
        var generator = SplitMix64(seed: data.seed, stream: DemoData.Stream.activity)
        return (0..<data.users).map { user in
            let isCold = generator.below(100) < Self.coldPercent && user > 0
            let weight = Self.exponential(generator.normal())
            return isCold ? 0 : user == 0 ? Swift.max(weight, 1) : weight
        }
    }

    /// e to the power of x for −8 to 8: (e^(x/64))^64, the root by its series.
    static func exponential(_ x: Double) -> Double {
        let y = x / 64
        var result = 1 + y * (1 + y / 2 * (1 + y / 3 * (1 + y / 4 * (1 + y / 5 * (1 + y / 6)))))
        for _ in 0..<6 { result *= result }
        return result
    }
}
