/// Who of ten thousand has which place: ranges, each given to one, the rest to nobody.
///
/// What is given stays given: whoever is to have more takes what nobody has, and whoever is to have less gives up what is
/// beyond it.
public struct Buckets: Sendable, Equatable {
    /// How many there are.
    public static let count = 10_000

    /// Some of them, in a row.
    public struct Range: Sendable, Equatable {
        /// The first.
        public let first: Int
        /// The one after the last.
        public let end: Int
        /// Whose they are.
        public let place: Int

        /// A range.
        public init(first: Int, end: Int, place: Int) {
            self.first = first
            self.end = end
            self.place = place
        }
    }

    /// In order, none of them empty.
    public private(set) var ranges: [Range]

    /// Nobody has any.
    public init() {
        self.ranges = []
    }

    /// What was stored; nil: they are not in order, or not within the count.
    public init?(_ ranges: [Range]) {
        var end = 0
        for range in ranges {
            guard range.first >= end, range.end > range.first, range.place >= 0 else { return nil }
            end = range.end
        }
        guard end <= Self.count else { return nil }
        self.ranges = ranges
    }

    /// Whose a bucket is; nil: nobody's.
    public func place(of bucket: Int) -> Int? {
        self.ranges.first { bucket < $0.end }.flatMap { bucket >= $0.first ? $0.place : nil }
    }

    /// How many a place has.
    public func count(of place: Int) -> Int {
        self.ranges.reduce(0) { $0 + ($1.place == place ? $1.end - $1.first : 0) }
    }

    /// The same with other shares, given by place.
    ///
    /// - Parameter taken: What may not be given to anybody.
    /// - Returns: nil where there are not as many.
    public func sharing(_ counts: [Int], beside taken: [Buckets] = []) -> Buckets? {
        var owners = [Int?](repeating: nil, count: Self.count)
        for range in self.ranges { for bucket in range.first..<range.end { owners[bucket] = range.place } }
        var left = counts
        for bucket in owners.indices {
            guard let place = owners[bucket] else { continue }
            if place < left.count, left[place] > 0 {
                left[place] -= 1
            } else {
                owners[bucket] = nil
            }
        }
        var isTaken = [Bool](repeating: false, count: Self.count)
        for range in taken.flatMap(\.ranges) { for bucket in range.first..<range.end { isTaken[bucket] = true } }
        var next = 0
        for place in left.indices {
            while left[place] > 0 {
                while next < Self.count, owners[next] != nil || isTaken[next] { next += 1 }
                guard next < Self.count else { return nil }
                owners[next] = place
                left[place] -= 1
            }
        }
        return Buckets(owners: owners)
    }

    /// Whether all that have some got the same part of what they have from nobody, to one of a hundred.
    ///
    /// - Parameter before: What these were made of.
    public func isGivenAlike(since before: Buckets) -> Bool {
        var counts: [Int: (new: Int, all: Int)] = [:]
        for bucket in 0..<Self.count {
            guard let place = self.place(of: bucket) else { continue }
            counts[place, default: (0, 0)].all += 1
            if before.place(of: bucket) == nil { counts[place]!.new += 1 }
        }
        let parts = counts.values.map { Double($0.new) / Double($0.all) }
        return (parts.max() ?? 0) - (parts.min() ?? 0) < 0.01
    }

    /// Whether some were nobody's before, and whether some were another's.
    public func change(since before: Buckets) -> (hasGrown: Bool, hasMoved: Bool) {
        var (hasGrown, hasMoved) = (false, false)
        for bucket in 0..<Self.count {
            guard let place = self.place(of: bucket) else { continue }
            switch before.place(of: bucket) {
            case nil: hasGrown = true
            case place: break
            default: hasMoved = true
            }
        }
        return (hasGrown, hasMoved)
    }

    private init(owners: [Int?]) {
        var ranges: [Range] = []
        for (bucket, owner) in owners.enumerated() {
            guard let owner else { continue }
            if let last = ranges.last, last.end == bucket, last.place == owner {
                ranges[ranges.count - 1] = Range(first: last.first, end: bucket + 1, place: owner)
            } else {
                ranges.append(Range(first: bucket, end: bucket + 1, place: owner))
            }
        }
        self.ranges = ranges
    }
}
