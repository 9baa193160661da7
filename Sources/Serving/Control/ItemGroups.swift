import RecommendationCore

/// The items of each category, creator or campaign, by name; names are compared by bytes.
struct ItemGroups: Sendable {
    /// The name of a group.
    typealias Name = Identifier<ItemGroups>

    private var indices = ShardedTable<Name, UInt32>()
    /// By index, in order of number.
    private var members = Chunked<[Item.Number]>()
    /// By index: a sum over the members, the same on every node that has the same.
    private var digests = Chunked<UInt64>()

    /// The index of a group; a name that is new gets the next.
    mutating func index(_ name: String) -> UInt32 {
        let name = Name(trusted: name)
        if let index = self.indices[name] { return index }
        let index = UInt32(self.members.count)
        self.indices[name] = index
        self.members.append([])
        self.digests.append(0)
        return index
    }

    /// The index of a group that any item is or was in.
    func knownIndex(_ name: String) -> UInt32? { self.indices[Name(trusted: name)] }

    /// The items of a group, in order of number.
    func members(of name: String) -> [Item.Number] {
        self.indices[Name(trusted: name)].map { self.members[Int($0)] } ?? []
    }

    /// What a cached list of a group's items is named by: it moves with every item that comes or goes.
    func digest(of name: String) -> UInt64 {
        self.indices[Name(trusted: name)].map { self.digests[Int($0)] } ?? 0
    }

    /// Moves an item from the groups it was in to those it is in.
    mutating func move(_ number: Item.Number, from old: [String], to new: [String]) {
        guard !old.elementsEqual(new, by: { $0.utf8.elementsEqual($1.utf8) }) else { return }
        for name in old {
            let index = Int(self.index(name))
            let place = self.members[index].place(of: number)
            if place < self.members[index].count, self.members[index][place] == number {
                self.members[index].remove(at: place)
                self.digests[index] &-= Self.mark(number)
            }
        }
        for name in new {
            let index = Int(self.index(name))
            let place = self.members[index].place(of: number)
            // Named twice, it is a member once.
            if place == self.members[index].count || self.members[index][place] != number {
                self.members[index].insert(number, at: place)
                self.digests[index] &+= Self.mark(number)
            }
        }
    }

    private static func mark(_ number: Item.Number) -> UInt64 { (UInt64(number) &+ SplitMix64.step).mixed }
}

extension [Item.Number] {
    /// Where a number stands, or would, in a sorted list.
    fileprivate func place(of number: Item.Number) -> Int {
        // Numbers mostly come in order.
        guard let last = self.last, number <= last else { return self.count }
        var range = self.startIndex..<self.endIndex
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range = self[middle] < number ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }
}
