import RecommendationCore
import RecommendationEngine

/// The items of a catalogue of which a model knows nothing, or no use: what came after it, by category, and what is still to be
/// tried out.
///
/// It is made of the newest items alone, so that a change of the catalogue costs as much however large that is, and a category
/// leads to its newest few, so that a history costs as much however many items have come.
struct FreshIndex: Sendable {
    /// The newest items after the model that are looked at.
    static let itemLimit = 2_000
    /// Of them that a category leads to, and that are like one item.
    static let categoryLimit = 50
    /// The newest items without use that may be tried out, and how many items are looked at to find them.
    static let unusedLimit = 500
    private static let unusedScan = 20_000
    /// Items of the model among which the one that is most like a fresh item is looked for.
    private static let twinScan = 64

    private struct Member {
        let item: Item.Number
        let categories: [UInt32]
    }

    private let catalog: Catalog
    private let snapshot: Snapshot
    private let members: [Member]
    /// Places in ``members`` by category, the newest items first.
    private let found: [UInt32: [Int]]
    /// Items of which the model has seen no use, the newest first.
    private let unused: [(item: Item.Number, createdAt: Timestamp)]

    /// - Parameter explores: Whether anything is tried out.
    init(_ catalog: Catalog, _ snapshot: Snapshot, explores: Bool) {
        self.catalog = catalog
        self.snapshot = snapshot
        var members: [Member] = []
        var found: [UInt32: [Int]] = [:]
        var number = catalog.count
        while number > snapshot.itemCount, members.count < Self.itemLimit {
            number -= 1
            let item = Item.Number(number)
            let categories = catalog.categoryIndices(of: item)
            guard !categories.isEmpty else { continue }
            for category in categories where found[category, default: []].count < Self.categoryLimit {
                found[category, default: []].append(members.count)
            }
            members.append(Member(item: item, categories: categories))
        }
        self.members = members
        self.found = found
        var unused: [(item: Item.Number, createdAt: Timestamp)] = []
        if explores {
            for number in (0..<catalog.count).suffix(Self.unusedScan).reversed() {
                let item = Item.Number(number)
                guard snapshot.popularity(of: item) == 0, let record = catalog[item] else { continue }
                unused.append((item, record.createdAt))
                if unused.count == Self.unusedLimit { break }
            }
        }
        self.unused = unused
    }

    /// What a pool is to know of them.
    ///
    /// - Parameters:
    ///   - lot: Of a user and a day: which items are tried out, and in which order.
    ///   - excluded: What no pool holds.
    func items(_ exploration: Policy.Exploration, lot: UInt64, now: Timestamp, excluded: Bitmap) -> FreshItems {
        guard !self.members.isEmpty || !self.unused.isEmpty else { return .none }
        let oldest = now.microseconds - Int64(exploration.maximumAgeDays) * 86_400_000_000
        var tried: [(lot: UInt64, item: Item.Number)] = []
        for (item, createdAt) in self.unused where createdAt.microseconds >= oldest && !excluded[Int(item)] {
            let own: UInt64 = lot &+ UInt64(item) &* SplitMix64.step
            tried.append((own.mixed, item))
        }
        tried.sort { $0 < $1 }
        return FreshItems(
            end: max(self.catalog.count, self.snapshot.itemCount),
            tried: tried.map(\.item),
            // Some more than the longest list has room for: rules may remove some of them later.
            triedLimit: 2 * exploration.places(of: 100).upperBound,
            lot: UInt16(truncatingIfNeeded: lot.mixed),
            neighbours: { self.neighbours(of: $0) }
        )
    }

    /// What has categories in common with an item: fresh items, and where it is fresh itself, items of the model too.
    func neighbours(of item: Item.Number) -> [Neighbour] {
        let own = self.catalog.categoryIndices(of: item)
        guard !own.isEmpty else { return [] }
        var places = own.flatMap { self.found[$0] ?? [] }
        if own.count > 1 { places.sort() }
        var neighbours: [Neighbour] = []
        neighbours.reserveCapacity(places.count)
        var last = -1
        for place in places where place != last {
            last = place
            let member = self.members[place]
            guard member.item != item else { continue }
            neighbours.append(Neighbour(item: member.item, weight: Self.likeness(own, member.categories)))
        }
        if neighbours.count > Self.categoryLimit {
            // The closest, of these the newest.
            neighbours.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.item > $1.item }
            neighbours.removeLast(neighbours.count - Self.categoryLimit)
        }
        return Int(item) < self.snapshot.itemCount ? neighbours : neighbours + self.known(like: item, own)
    }

    /// Jaccard's, of sets that are not both empty.
    private static func likeness(_ a: [UInt32], _ b: [UInt32]) -> Float {
        let shared = a.count { b.contains($0) }
        return Float(shared) / Float(a.count + b.count - shared)
    }

    /// What the model knows of likeness to a fresh item, by the item of its most particular category that has most in common
    /// with it: that item, and its neighbours.
    private func known(like item: Item.Number, _ own: [UInt32]) -> [Neighbour] {
        let names = self.catalog[item]?.categories ?? []
        let lists = names.map { name in
            self.catalog.categories.members(of: name).prefix { Int($0) < self.snapshot.itemCount }
        }
        guard let few = lists.filter({ !$0.isEmpty }).min(by: { $0.count < $1.count }) else { return [] }
        var twin: Neighbour?
        for candidate in few.prefix(Self.twinScan) {
            let likeness = Self.likeness(own, self.catalog.categoryIndices(of: candidate))
            if likeness > twin?.weight ?? 0 { twin = Neighbour(item: candidate, weight: likeness) }
        }
        guard let twin else { return [] }
        return [twin]
            + self.snapshot.content.neighbours(of: twin.item).map {
                Neighbour(item: $0.item, weight: $0.weight * twin.weight)
            }
    }
}

extension Policy.Exploration {
    /// How many places of a list are given to what is tried out: of these, as many that it is the share on average.
    func places(of limit: Int) -> ClosedRange<Int> {
        let places = self.meanPlaces(of: limit)
        return Int(places.rounded(.down))...Int(places.rounded(.up))
    }

    /// How many places of a list are given to it, by a lot.
    func places(of limit: Int, lot: UInt16) -> Int {
        let range = self.places(of: limit)
        let rest = self.meanPlaces(of: limit) - Double(range.lowerBound)
        return Double(lot) / 65_536 < rest ? range.upperBound : range.lowerBound
    }

    /// Without what binary fractions are off by: 7 % of 100 places are 7.
    private func meanPlaces(of limit: Int) -> Double {
        (min(max(self.share, 0), 1) * Double(limit) * 1e9).rounded() / 1e9
    }
}
