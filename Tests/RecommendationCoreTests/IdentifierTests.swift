import RecommendationCore
import Testing

@Suite struct IdentifierTests {
    private func id(_ string: String) throws -> User.ID { try User.ID(validating: string) }

    @Test("composed and decomposed spellings are two ids")
    func bytes() throws {
        let (composed, decomposed) = (try self.id("caf\u{E9}"), try self.id("cafe\u{301}"))
        #expect(composed.string == decomposed.string, "the premise: as strings they are equal")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(decomposed < composed)
        #expect(!(composed < decomposed))
    }

    @Test("equal bytes are equal ids with equal hashes")
    func equality() throws {
        let (one, other) = (try self.id("caf\u{E9}"), User.ID(trusted: "caf" + "\u{E9}"))
        #expect(one == other)
        #expect(one.hashValue == other.hashValue)
        #expect([one: 1][other] == 1)
    }

    @Test("1 to 128 bytes are accepted, counted as bytes")
    func limits() throws {
        #expect(throws: IdentifierError.empty) { try self.id("") }
        #expect(try self.id("x").string == "x")
        #expect(try self.id(String(repeating: "x", count: 128)).string.utf8.count == 128)
        #expect(throws: IdentifierError.tooLong(129)) { try self.id(String(repeating: "x", count: 129)) }
        #expect(try self.id(String(repeating: "\u{E9}", count: 64)).string.utf8.count == 128)
        #expect(throws: IdentifierError.tooLong(130)) { try self.id(String(repeating: "\u{E9}", count: 65)) }
    }

    @Test("control characters are refused", arguments: ["\0", "a\nb", "\u{1F}", "\u{7F}", "\u{85}", "a\u{9F}"])
    func controlCharacters(string: String) {
        #expect(throws: IdentifierError.controlCharacter) { try self.id(string) }
    }

    @Test("spaces, punctuation and other scripts are accepted", arguments: [" ", "a/b:c{d}", "\u{A0}", "ユーザー", "👩‍👩‍👧"])
    func accepted(string: String) throws {
        #expect(try self.id(string).description == string)
    }

    @Test("order is that of bytes")
    func order() throws {
        #expect(
            ["b", "a", "B", "aa", "\u{E9}"].map(User.ID.init(trusted:)).sorted().map(\.string) == [
                "B", "a", "aa", "b", "\u{E9}",
            ]
        )
    }
}
