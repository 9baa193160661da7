import RecommendationCore
import Serving

/// `GET /v1/recommendations/{user_id}` as the fast lane takes it: valid, and with no parameter but the three it knows. Whatever
/// else is asked for, or wrong, is for the route to answer.
struct ImmediateQuery {
    let request: ImmediateRequest
    let explain: Explanation

    private static let path: StaticString = "/v1/recommendations/"

    /// Whether a target may be one of these: what follows decides.
    static func mayBe(_ target: UnsafeRawBufferPointer) -> Bool {
        guard target.count > Self.path.utf8CodeUnitCount else { return false }
        for index in 0..<Self.path.utf8CodeUnitCount where target[index] != Self.path.utf8Start[index] { return false }
        return true
    }

    /// Reads a target of visible ASCII that ``mayBe(_:)`` one.
    init?(_ target: UnsafeRawBufferPointer) {
        var cursor = Self.path.utf8CodeUnitCount
        let start = cursor
        var isEncoded = false
        while cursor < target.count, target[cursor] != UInt8(ascii: "?") {
            switch target[cursor] {
            case UInt8(ascii: "/"), UInt8(ascii: "#"): return nil
            case UInt8(ascii: "%"): isEncoded = true
            default: break
            }
            cursor += 1
        }
        guard let user = Self.user(UnsafeRawBufferPointer(rebasing: target[start..<cursor]), isEncoded: isEncoded)
        else {
            return nil
        }
        var surface: String?
        var limit: Int?
        var explain: Explanation?
        while cursor < target.count {
            let name = cursor + 1
            guard let equals = Self.find(UInt8(ascii: "="), in: target, from: name) else { return nil }
            let end = Self.find(UInt8(ascii: "&"), in: target, from: name) ?? target.count
            guard equals < end else { return nil }
            let value = UnsafeRawBufferPointer(rebasing: target[equals + 1..<end])
            switch equals - name {
            case 5 where limit == nil && Self.matches(target, name, "limit"):
                guard let number = Self.number(value) else { return nil }
                limit = number
            case 7 where surface == nil && Self.matches(target, name, "surface"):
                guard let word = Self.word(value) else { return nil }
                surface = word
            case 7 where explain == nil && Self.matches(target, name, "explain"):
                guard let known = Self.explanation(value) else { return nil }
                explain = known
            default: return nil
            }
            cursor = end
        }
        self.request = ImmediateRequest(user: user, surface: surface ?? "home", limit: limit ?? 10)
        self.explain = explain ?? .reason
    }

    private static func user(_ bytes: UnsafeRawBufferPointer, isEncoded: Bool) -> User.ID? {
        guard isEncoded else {
            // Visible ASCII: only its length can be wrong.
            guard (1...IdentifierError.maximumLength).contains(bytes.count) else { return nil }
            return User.ID(trusted: String(decoding: bytes, as: UTF8.self))
        }
        return RequestTarget.percentDecoded(Array(bytes)[...]).flatMap { try? User.ID(validating: $0) }
    }

    private static func explanation(_ word: UnsafeRawBufferPointer) -> Explanation? {
        if word.count == 6, Self.matches(word, 0, "reason") { return .reason }
        guard word.count == 4 else { return nil }
        return Self.matches(word, 0, "none") ? Explanation.none : Self.matches(word, 0, "full") ? .full : nil
    }

    private static func number(_ digits: UnsafeRawBufferPointer) -> Int? {
        guard (1...3).contains(digits.count) else { return nil }
        var number = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            number = 10 * number + Int(digit - UInt8(ascii: "0"))
        }
        return (1...100).contains(number) ? number : nil
    }

    /// A value of lower-case letters, digits and `_-`: those of surfaces and explanations, unless they are encoded.
    private static func word(_ bytes: UnsafeRawBufferPointer) -> String? {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                continue
            default: return nil
            }
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    private static func find(_ byte: UInt8, in target: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        while index < target.count {
            if target[index] == byte { return index }
            index += 1
        }
        return nil
    }

    private static func matches(_ target: UnsafeRawBufferPointer, _ start: Int, _ text: StaticString) -> Bool {
        for index in 0..<text.utf8CodeUnitCount where target[start + index] != text.utf8Start[index] { return false }
        return true
    }
}
