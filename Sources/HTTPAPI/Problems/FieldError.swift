import RecommendationCore

/// What is wrong with one field.
struct FieldError: Sendable, Equatable {
    /// A JSON pointer as a URI fragment; a parameter of path or query is pointed at as if it were a field.
    let pointer: String
    /// `required`, `invalid`, `out_of_range`, `unknown_type`, ...
    let code: String
    let allowed: String?

    /// The error for a person, for example `limit must be 1..100`.
    var sentence: String {
        let field = self.pointer == "#" ? "the body" : String(self.pointer.dropFirst(2))
        if self.code == "required" { return "\(field) is required" }
        guard let allowed else { return "\(field) is not valid" }
        if self.code == "unsupported" { return "\(field) is not supported yet but as \(allowed)" }
        return "\(field) must be \(allowed)"
    }
}

/// The errors of a request, gathered so that a caller learns all of them at once.
struct FieldErrors {
    /// What one answer lists; the others of a large array are like these.
    static let maximum = 20

    private let maximum: Int
    private(set) var list: [FieldError] = []

    /// - Parameter maximum: What is listed, for documents of many fields.
    init(maximum: Int = Self.maximum) {
        self.maximum = maximum
    }

    init(_ errors: [FieldError]) {
        self.init()
        self.add(errors)
    }

    mutating func add(_ pointer: Pointer, _ code: String, allowed: String?) {
        guard self.list.count < self.maximum else { return }
        self.list.append(FieldError(pointer: pointer.string, code: code, allowed: allowed))
    }

    /// Adds errors that were found elsewhere.
    mutating func add(_ errors: [FieldError]) {
        self.list.append(contentsOf: errors.prefix(Self.maximum - self.list.count))
    }

    mutating func identifier<Entity>(_ string: String, at pointer: Pointer) -> Identifier<Entity>? {
        do {
            return try Identifier(validating: string)
        } catch {
            self.add(pointer, "invalid", allowed: IdentifierError.allowed)
            return nil
        }
    }

    /// A whole number in a query; `standard` where there is none.
    mutating func integer(
        _ text: String?,
        at pointer: Pointer,
        in range: ClosedRange<Int>,
        default standard: Int
    ) -> Int {
        guard let text else { return standard }
        let allowed = "\(range.lowerBound)..\(range.upperBound)"
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            self.add(pointer, "invalid", allowed: allowed)
            return standard
        }
        guard let number = Int(text), range.contains(number) else {
            self.add(pointer, "out_of_range", allowed: allowed)
            return standard
        }
        return number
    }

    func check() throws(Problem) {
        guard self.list.isEmpty else { throw .invalid(self.list) }
    }
}

/// A JSON pointer in its form as a URI fragment, RFC 6901 section 6.
struct Pointer: Sendable, Equatable {
    private(set) var string = "#"

    /// The whole document.
    static let root = Pointer()

    init() {}

    init(_ names: String...) {
        for name in names { self.append(name) }
    }

    mutating func append(_ index: Int) {
        self.string += "/\(index)"
    }

    /// The pointer to a member of what this one points to.
    func member(_ name: String) -> Pointer {
        var pointer = self
        pointer.append(name)
        return pointer
    }

    /// The pointer to an element of what this one points to.
    func element(_ index: Int) -> Pointer {
        var pointer = self
        pointer.append(index)
        return pointer
    }

    /// Appends a member's name; of a very long one, which came from outside, its beginning.
    mutating func append(_ name: String) {
        var bytes = Array("/".utf8)
        for byte in name.utf8.prefix(128) {
            switch byte {
            case UInt8(ascii: "~"): bytes += Array("~0".utf8)
            case UInt8(ascii: "/"): bytes += Array("~1".utf8)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                bytes.append(byte)
            default:
                bytes.append(UInt8(ascii: "%"))
                bytes.append(Self.hexadecimal[Int(byte >> 4)])
                bytes.append(Self.hexadecimal[Int(byte & 15)])
            }
        }
        self.string += String(decoding: bytes, as: UTF8.self)
    }

    private static let hexadecimal = Array("0123456789ABCDEF".utf8)
}
