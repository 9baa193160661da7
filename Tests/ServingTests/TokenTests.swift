import Crypto
import RecommendationCore
import Testing

@testable import Serving

@Suite("Tracking tokens")
struct TokenTests {
    let signer = TokenSigner(Fixture.keys)
    let token = TokenTests.token(of: "u1")
    let user = User.ID(trusted: "u1")

    private static func token(of user: String) -> TrackingToken {
        TrackingToken(
            recommendationID: RecommendationID(high: 1, low: 2),
            rank: 3,
            item: 77,
            origin: SlateOrigin(
                user: User.ID(trusted: user),
                model: 42,
                surface: "home",
                policy: "p7",
                variant: "e1.b"
            )
        )
    }

    @Test("a token says what was signed: slate, place, item, model, policy, variant, surface and user")
    func roundTrip() throws {
        let text = self.signer.sign(self.token, tenant: .default)
        #expect(text.hasPrefix("v2.k1."))
        #expect(text.utf8.count == 74)
        #expect(try self.signer.verify(text, tenant: .default, user: self.user) == self.token)
        #expect(try self.signer.verify(text, tenant: .default) == self.token)
    }

    @Test("while a node reads tokens of version 1 alone, such are signed, and read as they always were")
    func first() throws {
        let form = TokenForm()
        let signer = TokenSigner(Fixture.keys, form: form)
        form.isFirst = true
        let text = signer.sign(self.token, tenant: .default)
        #expect(text.hasPrefix("v1.k1.") && text.utf8.count == 50)
        let read = try self.signer.verify(text, tenant: .default, user: self.user)
        #expect(read.recommendationID == self.token.recommendationID && read.rank == 3 && read.item == 77)
        #expect(read.origin == SlateOrigin(user: self.user, model: 42))
        #expect(throws: TokenRefusal.invalid) {
            try self.signer.verify(text, tenant: .default, user: User.ID(trusted: "u2"))
        }
        form.isFirst = false
        #expect(signer.sign(self.token, tenant: .default).hasPrefix("v2.k1."))
    }

    @Test("names of every length come out as they went in")
    func lengths() throws {
        for length in 0...128 {
            var token = self.token
            let user = String(repeating: "u", count: length)
            token = TrackingToken(
                recommendationID: RecommendationID(high: .max, low: UInt64(length)),
                rank: 100,
                item: .max,
                origin: SlateOrigin(
                    user: User.ID(trusted: user),
                    model: 4_294_967_295,
                    surface: String(repeating: "s", count: length % 65),
                    policy: String(repeating: "p", count: (length * 7) % 65),
                    variant: String(repeating: "v", count: (length * 5) % 65)
                )
            )
            let text = self.signer.sign(token, tenant: .default)
            #expect(try self.signer.verify(text, tenant: .default) == token)
        }
    }

    @Test("a token says nothing of another user or tenant, and user and tenant cannot be traded")
    func bound() throws {
        let text = self.signer.sign(Self.token(of: "c"), tenant: Tenant.ID(trusted: "ab"))
        for (tenant, user) in [("a", "bc"), ("ab", "d"), ("ab", ""), ("abc", "")] {
            #expect(throws: TokenRefusal.invalid) {
                try self.signer.verify(text, tenant: Tenant.ID(trusted: tenant), user: User.ID(trusted: user))
            }
        }
        #expect(throws: TokenRefusal.invalid) { try self.signer.verify(text, tenant: Tenant.ID(trusted: "a")) }
        let composed = self.signer.sign(Self.token(of: "caf\u{E9}"), tenant: .default)
        #expect(throws: TokenRefusal.invalid) {
            try self.signer.verify(composed, tenant: .default, user: User.ID(trusted: "cafe\u{301}"))
        }
        // A token of nobody is good for whoever brings it.
        let anybodys = self.signer.sign(Self.token(of: ""), tenant: .default)
        #expect(try self.signer.verify(anybodys, tenant: .default, user: self.user) == Self.token(of: ""))
    }

    @Test("every change of a character voids it")
    func mutations() {
        let text = Array(self.signer.sign(self.token, tenant: .default))
        for index in text.indices {
            for other in ["A", "B", "_", ".", "é", "0", "1"] as [Character] where other != text[index] {
                var changed = text
                changed[index] = other
                #expect(throws: TokenRefusal.self) { try self.signer.verify(String(changed), tenant: .default) }
                #expect(throws: TokenRefusal.self) {
                    try self.signer.verify(String(changed), tenant: .default, user: self.user)
                }
            }
        }
        let forms = ["", "v1", "v1..", "v1.k1.", "v1.k1.AAAA", "v2.k1.x", "v2.k1.AAAA", "v3.k1.AAAA", "....."]
        for text in forms + [String(repeating: "A", count: 1_024), "v2.k1." + String(repeating: "A", count: 1_000)] {
            #expect(throws: TokenRefusal.self) { try self.signer.verify(text, tenant: .default, user: self.user) }
        }
    }

    @Test("after a rotation the old key still verifies and the new one signs; a removed one is told by its error")
    func rotation() throws {
        let old = SigningKeys.generate(id: "old")
        let new = SigningKeys.generate(id: "new")
        let text = TokenSigner(try SigningKeys(parsing: old)).sign(self.token, tenant: .default)
        let both = TokenSigner(try SigningKeys(parsing: "\(new),\(old)"))
        #expect(try both.verify(text, tenant: .default, user: self.user) == self.token)
        #expect(both.sign(self.token, tenant: .default).hasPrefix("v2.new."))
        let alone = TokenSigner(try SigningKeys(parsing: new))
        #expect(throws: TokenRefusal.unknownKey) { try alone.verify(text, tenant: .default, user: self.user) }
        #expect(throws: TokenRefusal.unknownKey) { try alone.verify(text, tenant: .default) }
        // A key of the same name is another key.
        let other = TokenSigner(try SigningKeys(parsing: SigningKeys.generate(id: "old")))
        #expect(throws: TokenRefusal.invalid) { try other.verify(text, tenant: .default, user: self.user) }
    }

    @Test("a token of version 1, as nodes before gave it, is verified still, for its user")
    func firstVersion() throws {
        // Made by another program from the description of the form, under the key 00…1f.
        let signer = TokenSigner(
            try SigningKeys(
                parsing: "new:\(String(repeating: "A", count: 43))=,old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
            )
        )
        let own = "v1.old.AAAAAAAAAAEAAAAAAAAAAgAAACoDAAAATUEXjrCkILe0"
        let anybodys = "v1.old.AAAAAAAAAAEAAAAAAAAAAgAAACoDAAAATWnDtDSKfTY2"
        for (text, user) in [(own, "u1"), (anybodys, "")] {
            let token = try signer.verify(text, tenant: .default, user: self.user)
            #expect(
                token
                    == TrackingToken(
                        recommendationID: RecommendationID(high: 1, low: 2),
                        rank: 3,
                        item: 77,
                        origin: SlateOrigin(user: User.ID(trusted: user), model: 42)
                    )
            )
            #expect(throws: TokenRefusal.invalid) { try signer.verify(text, tenant: Tenant.ID(trusted: "x")) }
        }
        #expect(throws: TokenRefusal.invalid) {
            try signer.verify(own, tenant: .default, user: User.ID(trusted: "u2"))
        }
        // Whose it is does not come out of it.
        #expect(throws: TokenRefusal.invalid) { try signer.verify(own, tenant: .default) }
        #expect(try signer.verify(anybodys, tenant: .default).item == 77)
    }

    @Test(
        "keys that are none are refused",
        arguments: ["", "k1", "k1:", "k1:###", "k1:c2hvcnQ=", ":AAAA", "a.b:AAAA", "k1:AAAA,k1:AAAA", "k 1:AAAA"]
    )
    func badKeys(text: String) {
        #expect(throws: SigningKeysError.self) { try SigningKeys(parsing: text) }
    }

    @Test("SipHash-2-4 gives the paper's test vector")
    func sipHash() {
        // Key 00…0f, message 00…0e (appendix A of the paper).
        let hash = SipHash(key: (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908))
        #expect(hash.tag((0..<15).map { UInt8($0) }) == 0xA129_CA61_49BE_45E5)
    }

    @Test("the code of a response is HMAC-SHA256", arguments: [32, 63, 64, 65, 200])
    func mac(keyLength: Int) {
        let key = SymmetricKey(data: (0..<keyLength).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) })
        for length in [0, 1, 20, 55, 64, 65, 300] {
            let message = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let code = Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
            let words = message.withUnsafeBytes { ResponseMAC(key: key).words($0) }
            let high: UInt64 = code[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
            let low: UInt64 = code[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
            #expect(words.0 == high)
            #expect(words.1 == low)
        }
    }

    @Test("a recommendation id is a ULID: ordered by time, of 26 characters")
    func ulid() {
        var generator = SeededGenerator(seed: 5)
        func id(_ milliseconds: Int64) -> RecommendationID {
            RecommendationID(milliseconds: milliseconds, random: (generator.next(), generator.next()))
        }
        let early = id(1_780_000_000_000).string
        let late = id(1_780_000_000_001).string
        #expect(early < late)
        #expect(early.count == 26)
        #expect(RecommendationID(high: 0, low: 0).string == String(repeating: "0", count: 26))
        #expect(RecommendationID(high: .max, low: .max).string == "7" + String(repeating: "Z", count: 25))
        for _ in 0..<200 {
            let id = RecommendationID(high: generator.next(), low: generator.next())
            #expect(RecommendationID(id.string) == id)
        }
        #expect(id(1_780_000_000_000).milliseconds == 1_780_000_000_000)
        for text in [
            "", "0", String(repeating: "0", count: 25), "8" + String(repeating: "0", count: 25),
            String(repeating: "I", count: 26), String(repeating: "a", count: 26), String(repeating: "é", count: 13),
        ] {
            #expect(RecommendationID(text) == nil, "\(text)")
        }
    }

    @Test("base64url survives every length and refuses what is not canonical")
    func base64() {
        for length in 0..<70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)[...]) == bytes)
        }
        for text in ["A", "AB", "ABC=", "A+", "AAAAB", "é"] { #expect(Base64URL.decode(text[...]) == nil, "\(text)") }
    }
}
