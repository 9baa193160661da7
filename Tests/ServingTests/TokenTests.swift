import Crypto
import RecommendationCore
import Testing

@testable import Serving

@Suite("Tracking tokens")
struct TokenTests {
    let signer = TokenSigner(Fixture.keys)
    let token = TrackingToken(recommendationID: RecommendationID(high: 1, low: 2), rank: 3, item: 77, model: 42)
    let user = User.ID(trusted: "u1")

    @Test("a token says what was signed")
    func roundTrip() {
        let text = self.signer.sign(self.token, tenant: .default, user: self.user)
        #expect(text.hasPrefix("v1.k1."))
        #expect(self.signer.verify(text, tenant: .default, user: self.user) == self.token)
    }

    @Test("a token says nothing of another user or tenant, and user and tenant cannot be traded")
    func bound() {
        let text = self.signer.sign(self.token, tenant: Tenant.ID(trusted: "ab"), user: User.ID(trusted: "c"))
        #expect(self.signer.verify(text, tenant: Tenant.ID(trusted: "a"), user: User.ID(trusted: "bc")) == nil)
        #expect(self.signer.verify(text, tenant: Tenant.ID(trusted: "ab"), user: User.ID(trusted: "d")) == nil)
        let composed = self.signer.sign(self.token, tenant: .default, user: User.ID(trusted: "caf\u{E9}"))
        #expect(self.signer.verify(composed, tenant: .default, user: User.ID(trusted: "cafe\u{301}")) == nil)
    }

    @Test("every change of a character voids it")
    func mutations() {
        let text = Array(self.signer.sign(self.token, tenant: .default, user: self.user))
        for index in text.indices {
            for other in ["A", "B", "_", ".", "é", "0"] as [Character] where other != text[index] {
                var changed = text
                changed[index] = other
                #expect(self.signer.verify(String(changed), tenant: .default, user: self.user) == nil)
            }
        }
        for text in ["", "v1", "v1..", "v1.k1.", "v1.k1.AAAA", "v2.k1.x", "....."] {
            #expect(self.signer.verify(text, tenant: .default, user: self.user) == nil)
        }
    }

    @Test("after a rotation the old key still verifies, and an unknown one does not")
    func rotation() throws {
        let old = SigningKeys.generate(id: "old")
        let new = SigningKeys.generate(id: "new")
        let text = TokenSigner(try SigningKeys(parsing: old)).sign(self.token, tenant: .default, user: self.user)
        let both = TokenSigner(try SigningKeys(parsing: "\(new),\(old)"))
        #expect(both.verify(text, tenant: .default, user: self.user) == self.token)
        #expect(both.sign(self.token, tenant: .default, user: self.user).hasPrefix("v1.new."))
        #expect(TokenSigner(try SigningKeys(parsing: new)).verify(text, tenant: .default, user: self.user) == nil)
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
