/// A first-in, first-out line whose members may leave early.
struct WaitingLine<Element> {
    private var elements: [Element?] = []
    private var head = 0
    private(set) var count = 0

    mutating func append(_ element: Element) {
        elements.append(element)
        count += 1
    }

    /// Puts a member before all others.
    mutating func prepend(_ element: Element) {
        if head > 0 {
            head -= 1
            elements[head] = element
        } else {
            elements.insert(element, at: 0)
        }
        count += 1
    }

    /// Removes the first in line, but only if it matches.
    mutating func popFirst(where matches: (Element) -> Bool = { _ in true }) -> Element? {
        while head < elements.count {
            if let element = elements[head] {
                guard matches(element) else { return nil }
                elements[head] = nil
                head += 1
                count -= 1
                compact()
                return element
            }
            head += 1
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
