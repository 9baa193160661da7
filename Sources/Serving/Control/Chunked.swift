/// An array whose copies share what was not changed: a change copies one chunk, not the whole.
///
/// A node's state is replaced, never changed, and a catalogue of 100,000 items must not be copied for one of them.
package struct Chunked<Element: Sendable>: Sendable {
    /// Elements in a chunk, as a power of two: of pointers, what one page holds.
    private static var shift: Int { 9 }

    private var chunks: [[Element]] = []
    package private(set) var count = 0

    package init() {}

    package subscript(_ index: Int) -> Element {
        get { self.chunks[index >> Self.shift][index & (1 << Self.shift - 1)] }
        set { self.chunks[index >> Self.shift][index & (1 << Self.shift - 1)] = newValue }
        _modify { yield &self.chunks[index >> Self.shift][index & (1 << Self.shift - 1)] }
    }

    package mutating func append(_ element: Element) {
        if self.count & (1 << Self.shift - 1) == 0 { self.chunks.append([]) }
        self.chunks[self.chunks.count - 1].append(element)
        self.count += 1
    }

    /// Every element with its index.
    package func forEach(_ body: (Int, Element) -> Void) {
        var index = 0
        for chunk in self.chunks {
            for element in chunk {
                body(index, element)
                index += 1
            }
        }
    }
}
