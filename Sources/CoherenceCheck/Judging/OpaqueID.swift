/// An id as its bytes: "café" composed and decomposed are equal as Strings, and two users.
package struct OpaqueID: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    package static func == (lhs: OpaqueID, rhs: OpaqueID) -> Bool { lhs.text.utf8.elementsEqual(rhs.text.utf8) }

    package func hash(into hasher: inout Hasher) {
        for byte in self.text.utf8 { hasher.combine(byte) }
    }

    package var description: String { self.text }
}
