import RecommendationCore

/// A chunk of an import, taken apart for the store: every user and item once, rows by their places.
struct ImportChunk {
    struct Row {
        /// The place in the chunk as it was read.
        var source: Int32
        var user: Int32
        var item: Int32
    }

    let interactions: [ImportedInteraction]
    /// The users of the rows, by the bytes of their ids: the order in which they are locked.
    private(set) var users: [User.ID] = []
    private(set) var items: [Item.ID] = []
    private(set) var rows: [Row] = []

    init(_ interactions: [ImportedInteraction]) {
        self.interactions = interactions
        var places: [User.ID: Int32] = [:]
        var itemPlaces: [Item.ID: Int32] = [:]
        self.rows.reserveCapacity(interactions.count)
        // Files are often sorted by user: then most rows have the user of the row before.
        var last: (id: User.ID, place: Int32)?
        for (source, interaction) in interactions.enumerated() {
            let user: Int32
            if let last, last.id == interaction.user {
                user = last.place
            } else {
                user = Self.place(of: interaction.user, in: &places, list: &self.users)
                last = (interaction.user, user)
            }
            let item = Self.place(of: interaction.item, in: &itemPlaces, list: &self.items)
            self.rows.append(Row(source: Int32(source), user: user, item: item))
        }
    }

    private static func place<Entity>(
        of id: Identifier<Entity>,
        in places: inout [Identifier<Entity>: Int32],
        list: inout [Identifier<Entity>]
    ) -> Int32 {
        if let place = places[id] { return place }
        let place = Int32(list.count)
        places[id] = place
        list.append(id)
        return place
    }

    /// Leaves out the rows whose item is unknown, and then the users who have no other; returns the lines left out.
    mutating func removeRows(where isUnknown: (Int32) -> Bool) -> [Int] {
        var lines: [Int] = []
        let interactions = self.interactions
        self.rows.removeAll { row in
            guard isUnknown(row.item) else { return false }
            lines.append(interactions[Int(row.source)].line)
            return true
        }
        return lines.sorted()
    }

    /// Leaves out some rows.
    mutating func removeRows(_ isGone: (ImportedInteraction) -> Bool) {
        let interactions = self.interactions
        self.rows.removeAll { isGone(interactions[Int($0.source)]) }
    }

    /// Puts the users in order, without those who have no row, and the rows by user and time.
    ///
    /// Neighbours in the index of users come one after the other, so that each of its pages is found once.
    mutating func sort() {
        var isUsed = [Bool](repeating: false, count: self.users.count)
        for row in self.rows { isUsed[Int(row.user)] = true }
        let order = self.users.indices.filter { isUsed[$0] }.sorted { self.users[$0] < self.users[$1] }
        var places = [Int32](repeating: -1, count: self.users.count)
        for (place, old) in order.enumerated() { places[old] = Int32(place) }
        self.users = order.map { self.users[$0] }
        for index in self.rows.indices { self.rows[index].user = places[Int(self.rows[index].user)] }
        let times = self.interactions.map(\.occurredAt.microseconds)
        self.rows.sort { left, right in
            if left.user != right.user { return left.user < right.user }
            let (first, second) = (times[Int(left.source)], times[Int(right.source)])
            return first != second ? first < second : left.source < right.source
        }
    }

    func interaction(_ row: Row) -> ImportedInteraction { self.interactions[Int(row.source)] }

    /// Takes out rows without an event id that are equal to one before in all that makes them known.
    mutating func removeRepeated() {
        struct Key: Hashable {
            var item: Int32
            var type: EventType
            var value: Float
        }
        func key(_ row: Row) -> Key {
            let interaction = self.interactions[Int(row.source)]
            return Key(item: row.item, type: interaction.type, value: interaction.value)
        }
        // Rows are sorted by user and time: equal ones are among those of one moment, and most moments have one row.
        let rows = self.rows.filter { self.interaction($0).eventID == nil }
        guard rows.count > 1 else { return }
        var repeated: Set<Int32> = []
        var first = 0
        var seen: Set<Key> = []
        for index in 1..<rows.count {
            let row = rows[index]
            let isSameMoment =
                rows[first].user == row.user
                && self.interaction(rows[first]).occurredAt == self.interaction(row).occurredAt
            guard isSameMoment else {
                if index - first > 1 { seen = [] }
                first = index
                continue
            }
            if index - first == 1 { seen = [key(rows[first])] }
            if !seen.insert(key(row)).inserted { repeated.insert(row.source) }
        }
        guard !repeated.isEmpty else { return }
        self.rows.removeAll { repeated.contains($0.source) }
    }
}
