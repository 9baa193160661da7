import Testing

@testable import Caching

@Suite("Trust in L2")
struct SharedTrustTests {
    let start = ContinuousClock.now
    var trust = SharedTrust(duration: .seconds(1))

    func at(_ milliseconds: Int) -> ContinuousClock.Instant { self.start.advanced(by: .milliseconds(milliseconds)) }

    /// A heartbeat that Redis took at the start, with the relay's position at a transaction.
    @discardableResult
    mutating func taken(_ xmax: UInt64?, at milliseconds: Int = 0, _ history: DataHistory? = nil) -> SharedTrust.Finding
    {
        let position = xmax.flatMap { JournalPosition("1:\($0):1") }
        return self.trust.heartbeatTaken(sentAt: self.at(milliseconds), relayed: position, history: history)
    }

    /// A head while the same long transaction runs.
    static func head(_ xmax: UInt64) -> JournalPosition { JournalPosition("1:\(xmax):1")! }

    @Test("trust begins only when the relay has reached a head that was read")
    mutating func begins() {
        #expect(self.trust.need == .journalHead(generation: 0))
        self.taken(500)
        #expect(!self.trust.isTrusted(at: self.at(0)), "no head is known yet")
        self.trust.headRead(Self.head(600), generation: 0)
        self.taken(599)
        #expect(!self.trust.isTrusted(at: self.at(0)))
        self.taken(600)
        #expect(self.trust.isTrusted(at: self.at(0)))
        #expect(self.trust.need == .nothing)
    }

    @Test("trust is a lease: without a heartbeat that Redis took, it runs out and comes back with the next")
    mutating func runsOut() {
        self.trust.headRead(Self.head(100), generation: 0)
        self.taken(100)
        #expect(self.trust.isTrusted(at: self.at(999)))
        #expect(!self.trust.isTrusted(at: self.at(1_000)))
        #expect(!self.trust.isReachable(at: self.at(1_000)))
        self.taken(100, at: 900)
        #expect(self.trust.isTrusted(at: self.at(1_800)))
    }

    @Test("a position as high as the head, with a transaction missing that the head knows, is not enough")
    mutating func missesACommit() {
        // Transaction 1 was in progress for the relay and had committed when the head was read; nothing began after it.
        self.trust.headRead(JournalPosition("100:100:")!, generation: 0)
        self.taken(100)
        #expect(!self.trust.isTrusted(at: self.at(0)))
        _ = self.trust.heartbeatTaken(sentAt: self.at(0), relayed: JournalPosition("100:100:"), history: nil)
        #expect(self.trust.isTrusted(at: self.at(0)))
        // And back to the older record of the same height.
        let finding = self.taken(100)
        #expect(finding == .wentBack)
        #expect(!self.trust.isTrusted(at: self.at(0)))
    }

    @Test("a head read before the doubt does not count")
    mutating func staleHead() {
        self.trust.doubted()
        self.trust.headRead(Self.head(10), generation: 0)
        self.taken(10)
        #expect(!self.trust.isTrusted(at: self.at(0)))
        #expect(self.trust.need == .journalHead(generation: 1))
    }

    @Test("a position that went back or is gone ends trust and says so", arguments: [UInt64?.none, 99])
    mutating func wentBack(xmax: UInt64?) {
        self.trust.headRead(Self.head(100), generation: 0)
        self.taken(100)
        #expect(self.trust.isTrusted(at: self.at(0)))
        let finding = self.taken(xmax)
        #expect(finding == .wentBack)
        #expect(!self.trust.isTrusted(at: self.at(0)))
    }

    @Test("a position that is gone in a history that goes on is a loss of keys: trust ends, once, and comes back")
    mutating func emptied() {
        self.trust.headRead(Self.head(100), generation: 0)
        self.taken(100, DataHistory(id: "a", offset: 7))
        let finding = self.taken(nil, DataHistory(id: "a", offset: 7))
        #expect(finding == .emptied)
        #expect(!self.trust.isTrusted(at: self.at(0)))
        #expect(self.trust.need == .journalHead(generation: 1))
        self.trust.headRead(Self.head(120), generation: 1)
        let still = self.taken(nil, DataHistory(id: "a", offset: 9))
        #expect(still == .asBefore)
        #expect(self.trust.need == .nothing, "the head that was read still counts")
        let replayed = self.taken(120, DataHistory(id: "a", offset: 9))
        #expect(replayed == .asBefore)
        #expect(self.trust.isTrusted(at: self.at(0)))
        let again = self.taken(nil, DataHistory(id: "a", offset: 9))
        #expect(again == .emptied)
    }

    @Test(
        "a position that is gone in another history, in an older state of it, or where either is not known, went back",
        arguments: [
            (DataHistory(id: "a", offset: 7), DataHistory(id: "b", offset: 7)),
            (DataHistory(id: "a", offset: 7), DataHistory(id: "a", offset: 6)),
            (DataHistory(id: "a", offset: 7), nil), (nil, DataHistory(id: "a", offset: 7)),
        ] as [(DataHistory?, DataHistory?)]
    )
    mutating func otherHistory(before: DataHistory?, after: DataHistory?) {
        self.taken(100, before)
        let finding = self.taken(nil, after)
        #expect(finding == .wentBack)
    }

    @Test("a position that is lower than before went back, whatever the history says")
    mutating func lowerInTheSameHistory() {
        let history = DataHistory(id: "a", offset: 7)
        self.taken(100, history)
        let lower = self.taken(99, history)
        #expect(lower == .wentBack)
    }

    @Test("what is told after a loss of keys is held against the position before it")
    mutating func failedOverAfterLoss() {
        let history = DataHistory(id: "a", offset: 7)
        self.taken(100, history)
        self.taken(nil, history)
        let lower = self.taken(99, DataHistory(id: "b", offset: 7))
        #expect(lower == .wentBack)
    }

    @Test("a loss of keys that another history follows renews the session, once, however long the position is missing")
    mutating func elsewhereAfterLoss() {
        self.taken(100, DataHistory(id: "a", offset: 7))
        self.taken(nil, DataHistory(id: "a", offset: 7))
        let elsewhere = self.taken(nil, DataHistory(id: "b", offset: 7))
        #expect(elsewhere == .wentBack)
        let still = self.taken(nil, DataHistory(id: "b", offset: 7))
        #expect(still == .asBefore)
    }

    @Test("a position that stands or grows keeps trust, also while a long transaction holds the oldest one back")
    mutating func grows() {
        self.trust.headRead(Self.head(100), generation: 0)
        for xmax in [UInt64(100), 100, 101, 5_000] {
            let finding = self.taken(xmax)
            #expect(finding == .asBefore)
            #expect(self.trust.isTrusted(at: self.at(0)))
        }
    }
}

@Suite("Journal position")
struct JournalPositionTests {
    @Test("it covers what is visible in the snapshot, and nothing else")
    func covers() throws {
        let position = try #require(JournalPosition("10:20:12,15"))
        for transaction in [UInt64(1), 10, 11, 19] { #expect(position.covers(transaction)) }
        for transaction in [UInt64(12), 15, 20, 21] { #expect(!position.covers(transaction)) }
        #expect(try #require(JournalPosition("10:20:")).covers(12))
    }

    @Test("it reaches another when it knows every transaction that the other knows")
    func reaches() throws {
        let position = try #require(JournalPosition("12:20:12,15"))
        for other in ["12:20:12,15", "12:20:12,15,17", "12:16:12,15", "12:12:", "1:1:"] {
            #expect(position.reaches(try #require(JournalPosition(other))), "\(other)")
        }
        for other in ["12:21:12,15", "15:20:15", "20:20:", "13:13:"] {
            #expect(!position.reaches(try #require(JournalPosition(other))), "\(other)")
        }
    }

    @Test("any other text is none", arguments: ["", "abc", "1", "1:2", "2:1:", "1:2:x", "-1:2:", "1:2:3:4", ":::"])
    func garbage(text: String) {
        #expect(JournalPosition(text) == nil)
    }
}
