import Testing

@testable import Caching

@Suite("Trust in L2")
struct SharedTrustTests {
    var trust = SharedTrust()

    @Test("trust begins only when the relay has reached a head that was read")
    mutating func begins() {
        #expect(self.trust.need == .journalHead(generation: 0))
        let wentBack = self.trust.relayedRead(500)
        #expect(!wentBack)
        #expect(!self.trust.isTrusted, "no head is known yet")
        self.trust.headRead(600, generation: 0)
        _ = self.trust.relayedRead(599)
        #expect(!self.trust.isTrusted)
        _ = self.trust.relayedRead(600)
        #expect(self.trust.isTrusted)
        #expect(self.trust.need == .nothing)
    }

    @Test("a head read before the doubt does not count")
    mutating func staleHead() {
        self.trust.doubted()
        self.trust.headRead(10, generation: 0)
        _ = self.trust.relayedRead(10)
        #expect(!self.trust.isTrusted)
        #expect(self.trust.need == .journalHead(generation: 1))
    }

    @Test("a position that went back or is gone ends trust and says so", arguments: [UInt64?.none, 99])
    mutating func wentBack(position: UInt64?) {
        self.trust.headRead(100, generation: 0)
        _ = self.trust.relayedRead(100)
        #expect(self.trust.isTrusted)
        let wentBack = self.trust.relayedRead(position)
        #expect(wentBack)
        #expect(!self.trust.isTrusted)
    }

    @Test("a position that stands or grows keeps trust")
    mutating func grows() {
        self.trust.headRead(100, generation: 0)
        for position in [UInt64(100), 100, 101, 5_000] {
            let wentBack = self.trust.relayedRead(position)
            #expect(!wentBack)
            #expect(self.trust.isTrusted)
        }
    }
}
