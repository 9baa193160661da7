/// A doubly linked list of objects by number, with its bytes: the queue every policy is made of.
struct Queue {
    static let none: Int32 = -1
    private var older: [Int32]
    private var newer: [Int32]
    private let sizes: [Int32]
    private(set) var newest = none
    private(set) var oldest = none
    private(set) var bytes = 0
    private(set) var count = 0

    init(sizes: [Int32]) {
        self.sizes = sizes
        self.older = [Int32](repeating: Self.none, count: sizes.count)
        self.newer = self.older
    }

    func newer(than object: Int32) -> Int32 { self.newer[Int(object)] }

    mutating func push(_ object: Int32) {
        self.older[Int(object)] = self.newest
        self.newer[Int(object)] = Self.none
        if self.newest != Self.none { self.newer[Int(self.newest)] = object } else { self.oldest = object }
        self.newest = object
        self.bytes += Int(self.sizes[Int(object)])
        self.count += 1
    }

    mutating func remove(_ object: Int32) {
        let (older, newer) = (self.older[Int(object)], self.newer[Int(object)])
        if older != Self.none { self.newer[Int(older)] = newer } else { self.oldest = newer }
        if newer != Self.none { self.older[Int(newer)] = older } else { self.newest = older }
        self.bytes -= Int(self.sizes[Int(object)])
        self.count -= 1
    }

    mutating func popOldest() -> Int32 {
        let object = self.oldest
        self.remove(object)
        return object
    }
}
