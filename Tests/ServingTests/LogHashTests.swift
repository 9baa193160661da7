import RecommendationCore
import Testing

@testable import Serving

@Suite("Log hashes")
struct LogHashTests {
    private static let keys = "k1:\(String(repeating: "A", count: 43))="
    private static let others = "k1:\(String(repeating: "A", count: 42))E="

    private func text(_ keys: String, _ name: String) throws -> String {
        LogHash(try SigningKeys(parsing: keys)).text(of: Array(name.utf8))
    }

    @Test("the first 64 bits of HMAC-SHA256 over the purpose and the name, by the key that signs")
    func known() throws {
        // python3 -c 'import hmac; print(hmac.new(bytes(32), b"\0log 1\0u1", "sha256").hexdigest()[:16])'
        #expect(try self.text(Self.keys, "u1") == "647943f5428ae7c0")
        #expect(try self.text("\(Self.keys),k2\(Self.others.dropFirst(2))", "u1") == "647943f5428ae7c0")
        #expect(try self.text(Self.others, "u1") != "647943f5428ae7c0")
        #expect(try self.text(Self.keys, "u2") != "647943f5428ae7c0")
    }

    @Test("always sixteen digits, also where the first are zeros")
    func digits() throws {
        let texts = try (0..<200).map { try self.text(Self.keys, "u\($0)") }
        #expect(texts.allSatisfy { $0.utf8.count == 16 })
        #expect(texts.contains { $0.hasPrefix("0") })
        #expect(Set(texts).count == 200)
    }

    @Test("what stays of an erased user is the first 128 bits for tenant and user, and no two of them have the same")
    func erasure() throws {
        let hash = LogHash(try SigningKeys(parsing: Self.keys))
        // python3 -c 'import hmac; print(hmac.new(bytes(32), b"\0erasure 1\0default\0u1", "sha256").hexdigest()[:32])'
        let hexadecimal = hash.erasure(of: User.ID(trusted: "u1"), tenant: .default).map {
            ($0 < 16 ? "0" : "") + String($0, radix: 16)
        }.joined()
        #expect(hexadecimal == "a3e84c39478b1b727a7514b747ee2864")
        let names = ["a", "b", "ab", "a/b", "caf\u{E9}", "cafe\u{301}"]
        let all = names.flatMap { tenant in
            names.map { hash.erasure(of: User.ID(trusted: $0), tenant: Tenant.ID(trusted: tenant)) }
        }
        #expect(Set(all).count == names.count * names.count)
        let rotated = LogHash(try SigningKeys(parsing: "k2\(Self.others.dropFirst(2)),\(Self.keys)"))
        let (user, tenant) = (User.ID(trusted: "u1"), Tenant.ID.default)
        #expect(rotated.erasures(of: user, tenant: tenant).contains(hash.erasure(of: user, tenant: tenant)))
        #expect(rotated.erasure(of: user, tenant: tenant) == rotated.erasures(of: user, tenant: tenant)[0])
        #expect(rotated.erasure(of: user, tenant: tenant) != hash.erasure(of: user, tenant: tenant))
        let other = LogHash(try SigningKeys(parsing: Self.others))
        #expect(other.erasure(of: User.ID(trusted: "a"), tenant: Tenant.ID(trusted: "a")) != all[0])
    }
}
