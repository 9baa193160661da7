package import RecommendationCore

/// Interactions that a model does not see, and what it is to find of them.
package struct Split: Sendable {
    /// One user to be judged by.
    package struct User: Sendable {
        /// What the model may know of the user, newest first.
        package let history: [HistoryEvent]
        /// Items the user took to afterwards, which are not in the history.
        package let relevant: [Item.Number]

        package init(history: [HistoryEvent], relevant: [Item.Number]) {
            self.history = history
            self.relevant = relevant
        }
    }

    package let heldBack: RowMask
    package let users: [User]
    /// Whether what is held back comes after the rest; else it was drawn, for want of times.
    package let isByTime: Bool

    /// Holds back the last items that some users took to: of each a fifth of the items, at least one, by time, of one time by
    /// the order of the rows. Last ones, not a random share: that lets a model see the future, and misleads.
    ///
    /// Where times are no moments but places in a list (every user begins at one time, as in an import of lists that have
    /// none), nothing is last: such lists are often in the order of the items' numbers, which would hold back what few
    /// know. Then a fifth is drawn, the same one of the same data.
    ///
    /// - Parameters:
    ///   - count: How many users at most; they are taken evenly over those who took to at least two items.
    ///   - order: Every user index, in an order that is the same whenever the data is.
    package static func lastItems(of input: FitInput, users count: Int, order: [UInt32]) throws(FitError) -> Split {
        let weighed = try WeighedInteractions(input)
        var taken = [UInt32](repeating: 0, count: weighed.userCount)
        for row in 0..<input.interactions.count where weighed.isTaste(row, input) {
            taken[Int(input.interactions.users[row])] += 1
        }
        let eligible = order.filter { Int($0) < taken.count && taken[Int($0)] >= 2 }
        let sample = Self.evenly(eligible, count)
        let isByTime = !weighed.beginsAtOneTime(input)
        return Self.split(input, weighed, sample, isByTime: isByTime) { rows in
            var items = Self.distinctItems(rows.lazy.filter { weighed.isTaste($0, input) }, input)
            guard items.count >= 2 else { return [] }
            let count = items.count
            if !isByTime { items.sort { Self.lot($0, of: count) < Self.lot($1, of: count) } }
            return Array(items.prefix(max(1, count / 5)))
        }
    }

    /// A number by which items of a list are drawn, evenly spread (the finalizer of SplitMix64).
    private static func lot(_ item: Item.Number, of count: Int) -> UInt64 {
        var word = (UInt64(item) << 32 | UInt64(UInt32(truncatingIfNeeded: count))) &* 0x9E37_79B9_7F4A_7C15
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// Holds back everything after a moment. Judged are users who took to something before it, and to something else after it.
    ///
    /// - Parameter share: Which part of the interactions comes before the moment, by time.
    package static func byTime(of input: FitInput, share: Double, users count: Int, order: [UInt32]) throws(FitError)
        -> Split
    {
        let weighed = try WeighedInteractions(input)
        let columns = input.interactions
        let usable = (0..<columns.count).filter { weighed.weights[$0] != 0 }
        let times = usable.map { columns.seconds[$0] }.sorted()
        guard !times.isEmpty else { return Split(heldBack: RowMask(), users: [], isByTime: true) }
        let moment = times[min(Int(Double(times.count) * min(max(share, 0), 1)), times.count - 1)]
        var before = [Bool](repeating: false, count: weighed.userCount)
        var after = before
        for row in usable where weighed.isTaste(row, input) {
            if columns.seconds[row] < moment {
                before[Int(columns.users[row])] = true
            } else {
                after[Int(columns.users[row])] = true
            }
        }
        let eligible = order.filter { Int($0) < before.count && before[Int($0)] && after[Int($0)] }
        var split = Self.split(input, weighed, Self.evenly(eligible, count), isByTime: true) { rows in
            let known = Set(rows.lazy.filter { columns.seconds[$0] < moment }.map { columns.items[$0] })
            let later = rows.lazy.filter { columns.seconds[$0] >= moment && weighed.isTaste($0, input) }
            return Self.distinctItems(later, input).filter { !known.contains($0) }
        }
        var mask = RowMask(count: columns.count)
        for row in 0..<columns.count where columns.seconds[row] >= moment { mask.insert(row) }
        split = Split(
            heldBack: mask,
            users: split.users.map { user in
                let history = user.history.filter { $0.occurredAt < Timestamp(seconds: moment) }
                return User(history: history, relevant: user.relevant)
            },
            isByTime: true
        )
        return split
    }

    private init(heldBack: RowMask, users: [User], isByTime: Bool) {
        self.heldBack = heldBack
        self.users = users
        self.isByTime = isByTime
    }

    private static func evenly(_ users: [UInt32], _ count: Int) -> [UInt32] {
        guard users.count > count else { return users }
        return (0..<max(count, 0)).map { users[$0 * users.count / count] }
    }

    /// Distinct items, in the order of the rows.
    private static func distinctItems(_ rows: some Sequence<Int>, _ input: FitInput) -> [Item.Number] {
        var seen: Set<Item.Number> = []
        return rows.map { input.interactions.items[$0] }.filter { seen.insert($0).inserted }
    }

    /// Splits the rows of some users, newest first: what `relevant` names is held back with all its rows.
    private static func split(
        _ input: FitInput,
        _ weighed: WeighedInteractions,
        _ sample: [UInt32],
        isByTime: Bool,
        relevant: ([Int]) -> [Item.Number]
    ) -> Split {
        let columns = input.interactions
        var place = [Int32](repeating: -1, count: weighed.userCount)
        for (index, user) in sample.enumerated() { place[Int(user)] = Int32(index) }
        var rowsOfUser = [[Int]](repeating: [], count: sample.count)
        for row in 0..<columns.count where Int(columns.items[row]) < input.itemCount {
            let index = place[Int(columns.users[row])]
            if index >= 0 { rowsOfUser[Int(index)].append(row) }
        }
        var mask = RowMask(count: columns.count)
        var users: [User] = []
        for var rows in rowsOfUser {
            rows.sort {
                columns.seconds[$0] != columns.seconds[$1] ? columns.seconds[$0] > columns.seconds[$1] : $0 > $1
            }
            let wanted = relevant(rows)
            guard !wanted.isEmpty else { continue }
            let hidden = Set(wanted)
            var history: [HistoryEvent] = []
            for row in rows {
                if hidden.contains(columns.items[row]) {
                    mask.insert(row)
                } else if let event = columns.event(row) {
                    history.append(event)
                }
            }
            users.append(User(history: history, relevant: wanted))
        }
        return Split(heldBack: mask, users: users, isByTime: isByTime)
    }
}

extension WeighedInteractions {
    /// Whether a row says that its user took to its item: it is positive, and more than a look.
    fileprivate func isTaste(_ row: Int, _ input: FitInput) -> Bool {
        self.weights[row] > 0 && input.interactions.types[row] != EventType.view.code
    }
}

extension WeighedInteractions {
    /// Whether nine of ten users, of more than one, begin at the same second, the earliest of all.
    fileprivate func beginsAtOneTime(_ input: FitInput) -> Bool {
        var first = [Int64](repeating: .max, count: self.userCount)
        for row in 0..<input.interactions.count where self.weights[row] != 0 {
            let user = Int(input.interactions.users[row])
            first[user] = min(first[user], input.interactions.seconds[row])
        }
        let known = first.count { $0 != .max }
        let earliest = first.reduce(.max, min)
        return known > 1 && first.count { $0 == earliest && $0 != .max } * 10 >= known * 9
    }
}

extension InteractionColumns {
    /// A row as an event; nil for an unknown type, and for a time that a timestamp does not hold.
    package func event(_ row: Int) -> HistoryEvent? {
        guard let type = EventType(code: self.types[row]), Timestamp.secondsRange.contains(self.seconds[row]) else {
            return nil
        }
        return HistoryEvent(
            item: self.items[row],
            type: type,
            value: self.values[row],
            occurredAt: Timestamp(seconds: self.seconds[row])
        )
    }
}

extension Timestamp {
    /// Seconds that a timestamp can hold.
    static let secondsRange = Int64.min / 1_000_000...Int64.max / 1_000_000
}
