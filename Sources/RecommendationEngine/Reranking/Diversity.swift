/// Keeps one category from filling a slate.
///
/// In every window of consecutive ranks at most so many items share a first category; items without one fall under no cap.
///
/// Each rank takes the best candidate that the cap allows there. A candidate that is passed over waits, and only one thing
/// can let it in: the item that leaves the window frees its category. So at each rank there is at most one category to look
/// for among those waiting, and the best of it comes before everything not yet looked at. Where the cap allows nobody, the
/// slate ends, short.
///
/// A value holds the buffers and serves one caller at a time.
package struct Diversity {
    /// At most this many of one first category per window; 0 and below: no cap.
    package var maximumPerWindow: Int
    /// Length of the window in ranks.
    package var window: Int

    /// What is known of an item without a category.
    package static let noCategory = UInt32.max

    private var waiting: [(candidate: Int, category: UInt32)] = []
    /// Categories by rank.
    private var placed: [UInt32] = []

    package init(maximumPerWindow: Int, window: Int) {
        self.maximumPerWindow = maximumPerWindow
        self.window = window
    }

    /// Chooses at most `limit` of some candidates.
    ///
    /// - Parameters:
    ///   - count: How many candidates there are, best first.
    ///   - category: The first category of a candidate, by its place among them; ``noCategory``: none.
    ///   - chosen: Takes the places of the chosen candidates, in rank order; what was in it is removed.
    /// - Returns: How many candidates were passed over and did not make it after all.
    package mutating func choose(
        _ limit: Int,
        of count: Int,
        category: (Int) -> UInt32,
        into chosen: inout [Int]
    ) -> Int {
        chosen.removeAll(keepingCapacity: true)
        self.waiting.removeAll(keepingCapacity: true)
        self.placed.removeAll(keepingCapacity: true)
        guard self.maximumPerWindow > 0, self.maximumPerWindow < self.window else {
            chosen.append(contentsOf: 0..<min(count, max(limit, 0)))
            return 0
        }
        var next = 0
        while chosen.count < limit {
            if let (candidate, category) = self.released() {
                chosen.append(candidate)
                self.placed.append(category)
                continue
            }
            guard next < count else { break }
            let category = category(next)
            if category == Self.noCategory || self.allows(category) {
                chosen.append(next)
                self.placed.append(category)
            } else {
                self.waiting.append((next, category))
            }
            next += 1
        }
        return self.waiting.count
    }

    /// The best candidate that waits for the category of the item that has just left the window.
    private mutating func released() -> (Int, UInt32)? {
        guard !self.waiting.isEmpty, self.placed.count >= self.window else { return nil }
        let category = self.placed[self.placed.count - self.window]
        guard let position = self.waiting.firstIndex(where: { $0.category == category }), self.allows(category)
        else { return nil }
        return self.waiting.remove(at: position)
    }

    /// Whether the next rank may take the category.
    private func allows(_ category: UInt32) -> Bool {
        var count = 0
        for rank in max(0, self.placed.count - self.window + 1)..<self.placed.count
        where self.placed[rank] == category {
            count += 1
        }
        return count < self.maximumPerWindow
    }
}
