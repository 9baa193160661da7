/// A first-in, first-out line whose members may leave early.
struct WaitingLine<Element> {
    private var elements: [Element?] = []
    private var head = 0
    private(set) var count = 0

    mutating func append(_ element: Element) {
        elements.append(element)
        count += 1
    }

    mutating func popFirst() -> Element? {
        while head < elements.count {
            let element = elements[head].take()
            head += 1
            if let element {
                count -= 1
                compact()
                return element
            }
        }
        return nil
    }

    /// Removes and returns all that match, in order.
    mutating func removeAll(where matches: (Element) -> Bool) -> [Element] {
        var removed: [Element] = []
        for index in elements.indices.dropFirst(head) {
            if let element = elements[index], matches(element) {
                removed.append(element)
                elements[index] = nil
            }
        }
        count -= removed.count
        return removed
    }

    /// The smallest key of those in line.
    func min<Key: Comparable>(of key: (Element) -> Key) -> Key? {
        elements.compactMap { $0.map(key) }.min()
    }

    private mutating func compact() {
        guard head > 32, head * 2 > elements.count else { return }
        elements.removeFirst(head)
        head = 0
    }
}
