/// An opaque id chosen by a client: 1 to 128 bytes of UTF-8 without control characters.
///
/// Equality and hashing go by *bytes*. Swift's `String` compares by canonical equivalence, under which "café" composed
/// and decomposed are equal; as ids they are two different users.
public struct Identifier<Entity>: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The id as it was given.
    public let string: String

    /// Takes an id from outside.
    ///
    /// - Throws: ``IdentifierError`` when it is empty, longer than 128 bytes, or holds a control character.
    public init(validating string: String) throws(IdentifierError) {
        var string = string
        string.makeContiguousUTF8()
        let length = string.utf8.count
        guard length > 0 else { throw .empty }
        guard length <= IdentifierError.maximumLength else { throw .tooLong(length) }
        for scalar in string.unicodeScalars where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
            throw .controlCharacter
        }
        self.string = string
    }

    /// Takes an id that was validated before it was stored.
    public init(trusted string: String) {
        self.string = string
    }

    /// The id as it was given.
    public var description: String { self.string }

    /// Whether two ids have the same bytes.
    public static func == (lhs: Self, rhs: Self) -> Bool {
        var (left, right) = (lhs.string, rhs.string)
        return left.withUTF8 { left in
            right.withUTF8 { right in left.count == right.count && left.elementsEqual(right) }
        }
    }

    /// The order of the bytes.
    public static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.string.utf8.lexicographicallyPrecedes(rhs.string.utf8)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        var string = self.string
        string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

/// Why a string is not an id.
public enum IdentifierError: Error, Equatable, Sendable {
    case empty
    case tooLong(Int)
    case controlCharacter

    /// The longest id in bytes.
    public static let maximumLength = 128

    /// What an id may be, for an error answer.
    public static let allowed = "1 to 128 bytes of UTF-8 without control characters"
}
