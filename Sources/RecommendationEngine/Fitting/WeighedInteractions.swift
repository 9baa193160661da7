import RecommendationCore

/// What each interaction counts, with the totals of the data.
///
/// Interactions that cannot be used count 0: of an item beyond the catalogue (it was added after the items were read), of
/// an unknown type, a rating that is no number, a time outside the years a timestamp can hold. So do those held back.
struct WeighedInteractions {
    /// Weight by row, not yet decayed.
    private(set) var weights: [Float]
    private(set) var userCount = 0
    private(set) var counts = Snapshot.Counts(interactions: 0, users: 0, items: 0)
    /// Seconds of the newest usable interaction.
    private(set) var newest: Int64?

    init(_ input: FitInput) throws(FitError) {
        let rows = input.interactions
        guard rows.count <= UInt32.max else { throw .tooManyInteractions(rows.count) }
        self.weights = [Float](repeating: 0, count: rows.count)
        guard let highest = rows.users.max() else { return }
        guard Int(highest) < rows.count else { throw .usersNotDense(highest: highest) }
        self.userCount = Int(highest) + 1

        let ratingCode = EventType.rating.code
        var ratings = [RatingScale](repeating: RatingScale(), count: self.userCount)
        for row in 0..<rows.count
        where rows.types[row] == ratingCode && Int(rows.items[row]) < input.itemCount && !input.heldBack.contains(row) {
            ratings[Int(rows.users[row])].add(rows.values[row])
        }

        let eventWeights = EventWeights(input.eventWeights)
        var hasUser = [Bool](repeating: false, count: self.userCount)
        var hasItem = [Bool](repeating: false, count: input.itemCount)
        var usable = 0
        for row in 0..<rows.count {
            let (user, item, code) = (Int(rows.users[row]), Int(rows.items[row]), rows.types[row])
            guard item < input.itemCount, Timestamp.secondsRange.contains(rows.seconds[row]),
                EventType(code: code) != nil,
                code != ratingCode || rows.values[row].isFinite, !input.heldBack.contains(row)
            else { continue }
            let factor = code == ratingCode ? ratings[user].factor(of: rows.values[row]) : 1
            self.weights[row] = eventWeights[code] * factor
            self.newest = max(self.newest ?? .min, rows.seconds[row])
            hasUser[user] = true
            hasItem[item] = true
            usable += 1
        }
        self.counts = Snapshot.Counts(
            interactions: usable,
            users: hasUser.count { $0 },
            items: hasItem.count { $0 }
        )
    }

    /// log1p(count) / log1p(largest count) by item: counts decay from the newest interaction, and do not fall below 0.
    func popularity(_ input: FitInput) -> [Float] {
        let rows = input.interactions
        let decay = Decay(halfLifeDays: input.halfLifeDays)
        var counts = [Double](repeating: 0, count: input.itemCount)
        if let newest = self.newest {
            for row in 0..<rows.count where self.weights[row] != 0 {
                let age = Double(newest) - Double(rows.seconds[row])
                counts[Int(rows.items[row])] += Double(self.weights[row]) * decay.factor(ageInSeconds: age)
            }
        }
        return Popularity.normalised(counts)
    }
}
