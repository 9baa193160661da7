/// A growable set of small integers.
package struct Bitmap: Sendable, Equatable {
    package private(set) var words: [UInt64] = []

    package init() {}

    package subscript(_ index: Int) -> Bool {
        get {
            let word = index >> 6
            return word < self.words.count && self.words[word] >> UInt64(index & 63) & 1 == 1
        }
        set {
            let word = index >> 6
            if word >= self.words.count {
                guard newValue else { return }
                self.words.append(contentsOf: repeatElement(0, count: word + 1 - self.words.count))
            }
            if newValue {
                self.words[word] |= 1 << UInt64(index & 63)
            } else {
                self.words[word] &= ~(1 << UInt64(index & 63))
            }
        }
    }

    package mutating func formUnion(_ other: Bitmap) {
        if other.words.count > self.words.count {
            self.words.append(contentsOf: repeatElement(0, count: other.words.count - self.words.count))
        }
        for index in other.words.indices { self.words[index] |= other.words[index] }
    }

    package var isEmpty: Bool { self.words.allSatisfy { $0 == 0 } }
}
