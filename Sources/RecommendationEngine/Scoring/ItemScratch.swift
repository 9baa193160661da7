import RecommendationCore

/// Arrays by item number that one scorer reuses from call to call; all zero between calls.
///
/// Ids come from a ``Snapshot``, which vouches for them, and the arrays are at least as long as it has items; so the loops
/// over edges leave out bounds checks.
struct ItemScratch {
    enum Mark: UInt8 {
        case touched = 1
        case seen = 2
        case banned = 4
        /// In the list that is being made.
        case listed = 8
    }

    private enum Source {
        case collaborative, content
    }

    private(set) var collaborative: [Float] = []
    private(set) var content: [Float] = []
    private(set) var marks: [UInt8] = []
    /// A number that whoever uses it sets and takes away again.
    private(set) var slots: [UInt16] = []
    /// Items with a sum, of which ``touchedCount`` are there.
    private(set) var touched: [Item.Number] = []
    private(set) var touchedCount = 0
    /// Whether a content sum may be other than 0.
    private var hasContent = false

    mutating func resize(itemCount: Int) {
        guard itemCount > self.marks.count else { return }
        self.collaborative = [Float](repeating: 0, count: itemCount)
        self.content = [Float](repeating: 0, count: itemCount)
        self.marks = [UInt8](repeating: 0, count: itemCount)
        self.slots = [UInt16](repeating: 0, count: itemCount)
        // One more, because a position is written before it is known whether it counts.
        self.touched = [Item.Number](repeating: 0, count: itemCount + 1)
    }

    /// Marks an item; false if it was marked before.
    mutating func mark(_ item: Item.Number, _ mark: Mark) -> Bool {
        guard self.marks[Int(item)] & mark.rawValue == 0 else { return false }
        self.marks[Int(item)] |= mark.rawValue
        return true
    }

    @inline(__always)
    func has(_ item: Item.Number, _ mark: Mark) -> Bool { self.marks[Int(item)] & mark.rawValue != 0 }

    /// Whether the item was neither touched nor seen nor banned.
    @inline(__always)
    func isUnmarked(_ item: Item.Number) -> Bool { self.marks[Int(item)] == 0 }

    /// Whether the item was not seen; whoever is banned is seen.
    @inline(__always)
    func isUnseen(_ item: Item.Number) -> Bool { self.marks[Int(item)] & Mark.seen.rawValue == 0 }

    @inline(__always)
    func sums(of item: Item.Number) -> (collaborative: Float, content: Float) {
        (self.collaborative[Int(item)], self.content[Int(item)])
    }

    func slot(of item: Item.Number) -> UInt16 { self.slots[Int(item)] }

    mutating func setSlot(_ slot: UInt16, of item: Item.Number) { self.slots[Int(item)] = slot }

    /// Adds `weight` times each collaborative neighbour of an item to the sums of the neighbours.
    mutating func addCollaborative(_ weight: Float, neighboursOf item: Item.Number, in snapshot: Snapshot) {
        let graph = snapshot.collaborative
        self.add(weight, times: graph.row(Int(item)), of: graph, to: .collaborative)
    }

    /// Adds `weight` times each content neighbour of an item to the sums of the neighbours.
    mutating func addContent(_ weight: Float, neighboursOf item: Item.Number, in snapshot: Snapshot) {
        let (before, after) = snapshot.content.rows(of: item)
        self.hasContent = true
        self.add(weight, times: before, of: snapshot.content.lists, to: .content)
        self.add(weight, times: after, of: snapshot.content.lists, to: .content)
    }

    /// Adds to the content sum of an item.
    mutating func addContent(_ amount: Float, to item: Item.Number) {
        self.hasContent = true
        self.content[Int(item)] += amount
        guard self.mark(item, .touched) else { return }
        self.touched[self.touchedCount] = item
        self.touchedCount += 1
    }

    /// Takes a mark away that was put on some items.
    mutating func unmark(_ items: some Sequence<Item.Number>, _ mark: Mark) {
        for item in items { self.marks[Int(item)] &= ~mark.rawValue }
    }

    /// Adds as ``addCollaborative(_:neighboursOf:in:)`` does, for ``takeCollaborative(into:)`` alone: an item is listed each time
    /// that something is added to a sum of 0, which costs less than a look at its mark.
    mutating func addRanked(_ weight: Float, neighboursOf item: Item.Number, in snapshot: Snapshot) {
        let graph = snapshot.collaborative
        let positions = graph.row(Int(item))
        // What adds nothing, or takes a sum back to 0, lets an item be listed again.
        let room = self.touchedCount + positions.count + 1
        if self.touched.count < room { self.touched += [Item.Number](repeating: 0, count: room) }
        self.touchedCount = Self.add(
            weight,
            times: positions,
            of: graph,
            to: &self.collaborative,
            touched: &self.touched,
            touchedCount: self.touchedCount
        )
    }

    private static func add(
        _ weight: Float,
        times positions: Range<Int>,
        of graph: NeighbourGraph,
        to sums: inout [Float],
        touched: inout [Item.Number],
        touchedCount: Int
    ) -> Int {
        var sums = sums.mutableSpan
        var touched = touched.mutableSpan
        let ids = graph.ids.span
        let weights = graph.weights.span
        var count = touchedCount
        for position in positions {
            let item = ids[unchecked: position]
            let sum = sums[unchecked: Int(item)]
            touched[unchecked: count] = item
            count &+= sum == 0 ? 1 : 0
            sums[unchecked: Int(item)] = sum + weight * HalfFloat.decode(weights[unchecked: position])
        }
        return count
    }

    /// Offers the heap every listed item with a sum above 0 that the user has not seen, once; leaves the sums zero.
    mutating func takeCollaborative(into top: inout TopKeys) {
        Self.take(self.touched, first: self.touchedCount, sums: &self.collaborative, marks: self.marks, into: &top)
        self.touchedCount = 0
    }

    private static func take(
        _ touched: [Item.Number],
        first touchedCount: Int,
        sums: inout [Float],
        marks: [UInt8],
        into top: inout TopKeys
    ) {
        let touched = touched.span
        let marks = marks.span
        var sums = sums.mutableSpan
        var position = 0
        while position < touchedCount {
            let item = touched[unchecked: position]
            let sum = sums[unchecked: Int(item)]
            sums[unchecked: Int(item)] = 0
            position &+= 1
            // Of equal sums the item decides, which the key knows.
            guard sum >= top.leastScore, sum > 0, marks[unchecked: Int(item)] & Mark.seen.rawValue == 0 else {
                continue
            }
            top.insert(RankKey.make(sum, item))
        }
    }

    /// Makes sums, marks and touched items zero again.
    mutating func clear(_ history: WeighedHistory) {
        Self.clear(self.touched, first: self.touchedCount, sums: &self.collaborative, marks: &self.marks)
        if self.hasContent {
            for item in self.touched[..<self.touchedCount] { self.content[Int(item)] = 0 }
            self.hasContent = false
        }
        for item in history.seen { self.marks[Int(item)] = 0 }
        self.touchedCount = 0
    }

    private static func clear(
        _ touched: [Item.Number],
        first touchedCount: Int,
        sums: inout [Float],
        marks: inout [UInt8]
    ) {
        let touched = touched.span
        var sums = sums.mutableSpan
        var marks = marks.mutableSpan
        for position in 0..<touchedCount {
            let item = Int(touched[unchecked: position])
            sums[unchecked: item] = 0
            marks[unchecked: item] = 0
        }
    }

    private mutating func add(
        _ weight: Float,
        times positions: Range<Int>,
        of graph: NeighbourGraph,
        to source: Source
    ) {
        switch source {
        case .collaborative:
            self.touchedCount = Self.add(
                weight,
                times: positions,
                of: graph,
                to: &self.collaborative,
                marks: &self.marks,
                touched: &self.touched,
                touchedCount: self.touchedCount
            )
        case .content:
            self.touchedCount = Self.add(
                weight,
                times: positions,
                of: graph,
                to: &self.content,
                marks: &self.marks,
                touched: &self.touched,
                touchedCount: self.touchedCount
            )
        }
    }

    private static func add(
        _ weight: Float,
        times positions: Range<Int>,
        of graph: NeighbourGraph,
        to sums: inout [Float],
        marks: inout [UInt8],
        touched: inout [Item.Number],
        touchedCount: Int
    ) -> Int {
        var sums = sums.mutableSpan
        var marks = marks.mutableSpan
        var touched = touched.mutableSpan
        let ids = graph.ids.span
        let weights = graph.weights.span
        var count = touchedCount
        for position in positions {
            let item = ids[unchecked: position]
            sums[unchecked: Int(item)] += weight * HalfFloat.decode(weights[unchecked: position])
            // Written without a branch; it counts only where the mark was not there yet.
            let mark = marks[unchecked: Int(item)]
            touched[unchecked: count] = item
            count += Int(~mark & Mark.touched.rawValue)
            marks[unchecked: Int(item)] = mark | Mark.touched.rawValue
        }
        return count
    }
}
