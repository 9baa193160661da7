package import RecommendationCore

/// The items of a demo data set, each made when it is asked for.
package struct DemoCatalogue: RandomAccessCollection, Sendable {
    private static let genresPerCluster = 4
    private static let clusterLimit = 40
    private static let itemsPerCluster = 50

    let clusterCount: Int
    /// The items in order of popularity; a cluster has every n-th of them.
    private let itemOfRank: [UInt32]
    private let rankOfItem: [UInt32]
    private let genres: [[String]]
    private let creators: AliasTable
    private let firstTitle: Int
    private let seed: UInt64

    package init(_ data: DemoData) {
        self.seed = data.seed
        self.clusterCount = Swift.max(1, Swift.min(Self.clusterLimit, data.items / Self.itemsPerCluster))
        var generator = SplitMix64(seed: data.seed, stream: DemoData.Stream.ranks)
        var itemOfRank = (0..<UInt32(data.items)).map(\.self)
        for last in stride(from: itemOfRank.count - 1, to: 0, by: -1) {
            itemOfRank.swapAt(last, generator.below(last + 1))
        }
        var rankOfItem = [UInt32](repeating: 0, count: data.items)
        for (rank, item) in itemOfRank.enumerated() { rankOfItem[Int(item)] = UInt32(rank) }
        self.itemOfRank = itemOfRank
        self.rankOfItem = rankOfItem
        self.genres = (0..<self.clusterCount).map { cluster in
            var generator = SplitMix64(seed: data.seed, stream: DemoData.Stream.cluster, index: cluster)
            var genres: [String] = []
            while genres.count < Self.genresPerCluster {
                let genre = DemoWords.genres[generator.below(DemoWords.genres.count)]
                if !genres.contains(genre) { genres.append(genre) }
            }
            return genres
        }
        self.creators = AliasTable((0..<Swift.max(1, data.items / 20)).map { 1 / Double($0 + 3) })
        var titles = SplitMix64(seed: data.seed, stream: DemoData.Stream.title)
        self.firstTitle = titles.below(DemoWords.titleCount)
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { self.itemOfRank.count }

    /// The place in the catalogue of the item of a popularity rank.
    func index(ofRank rank: Int) -> Int { Int(self.itemOfRank[rank]) }

    /// The popularity rank of an item, from 0.
    func rank(of index: Int) -> Int { Int(self.rankOfItem[index]) }

    func cluster(of index: Int) -> Int { self.rank(of: index) % self.clusterCount }

    package subscript(index: Int) -> Item {
        var generator = SplitMix64(seed: self.seed, stream: DemoData.Stream.item, index: index)
        let typical = self.genres[self.cluster(of: index)]
        // One genre for 3 in 10 items, two for 4, three for 3.
        let count = [1, 1, 1, 2, 2, 2, 2, 3, 3, 3][generator.below(10)]
        var categories: [String] = []
        while categories.count < count {
            let genre =
                generator.below(100) < 80
                ? typical[generator.below(typical.count)]
                : DemoWords.genres[generator.below(DemoWords.genres.count)]
            if !categories.contains(genre) { categories.append(genre) }
        }
        let creator = self.creators.draw(using: &generator) + 1
        let cents = generator.below(10) < 7 ? 299 + 100 * generator.below(40) : nil
        return Item(
            id: DemoData.itemID(index + 1),
            title: DemoWords.title(self.firstTitle, index),
            categories: categories,
            creator: "creator-\(creator)",
            price: cents.map { Double($0) / 100 }
        )
    }
}
