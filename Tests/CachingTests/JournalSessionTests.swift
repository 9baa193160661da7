import Testing

@testable import Caching

/// The rules of coherence, section 6, step by step; each of them has a trace in the explicit-state model that breaks it.
@Suite("Journal session")
struct JournalSessionTests {
    let start = ContinuousClock.now
    var journal = JournalSession(duration: .seconds(1), patience: .milliseconds(500))
    var lease = FreshnessLease(duration: .seconds(1))

    func at(_ milliseconds: Int) -> ContinuousClock.Instant { self.start.advanced(by: .milliseconds(milliseconds)) }

    static func position(_ xmax: UInt64) -> JournalPosition { JournalPosition("\(xmax):\(xmax):")! }

    /// A session of the bus whose control log is read, with a heartbeat that came back and told the relay's position.
    mutating func bus(_ session: UInt64, relayed: UInt64?, at milliseconds: Int = 0) -> Bool {
        self.lease.sessionBegan(session)
        let isNew = self.journal.sessionBegan(session)
        self.lease.controlApplied(ticket: self.lease.openTicket)
        self.beat(relayed: relayed, at: milliseconds)
        return isNew
    }

    mutating func beat(relayed: UInt64?, at milliseconds: Int) {
        guard let heartbeat = self.lease.heartbeatSending(at: self.at(milliseconds)) else { return }
        self.journal.heartbeatReplied(
            heartbeat,
            relayed: relayed.map(Self.position),
            at: self.at(milliseconds)
        )
        self.lease.heartbeatReached(heartbeat)
        self.journal.heartbeatReached(heartbeat, at: self.at(milliseconds))
    }

    mutating func lose() {
        let provenAt = self.lease.provenAt
        self.lease.sessionEnded(self.lease.session ?? 0)
        self.journal.sessionEnded(provenAt: provenAt)
    }

    mutating func poll(at milliseconds: Int, next: UInt64, isWhole: Bool = true, isControlCurrent: Bool = true) -> Bool
    {
        let poll = self.journal.pollBegan(at: self.at(milliseconds))
        return self.journal.pollApplied(
            poll,
            next: Self.position(next),
            isWhole: isWhole,
            isControlCurrent: isControlCurrent
        )
    }

    func proof(at milliseconds: Int) -> JournalSession.Proof {
        self.journal.proof(at: self.at(milliseconds), lease: self.lease)
    }

    @Test("a stamp begins with a session of the bus, and the bus proves it")
    mutating func begins() {
        let isNew = self.bus(3, relayed: 10)
        #expect(isNew)
        #expect(self.journal.stamp == 3)
        #expect(self.proof(at: 999) == .bus)
        #expect(self.proof(at: 1_000) == .none)
    }

    @Test("without an anchor the stamp ends with the session")
    mutating func withoutAnchor() {
        _ = self.bus(1, relayed: nil)
        self.lose()
        #expect(self.journal.stamp == nil)
        #expect(self.proof(at: 1) == .none)
        let isNew = self.bus(2, relayed: nil)
        #expect(isNew)
        #expect(self.journal.stamp == 2)
    }

    @Test("with an anchor the stamp outlives the session, and what the bus had proved stays proved for its time")
    mutating func outlives() {
        _ = self.bus(1, relayed: 10, at: 100)
        self.lose()
        #expect(self.journal.stamp == 1)
        #expect(self.proof(at: 1_099) == .journal)
        #expect(self.proof(at: 1_100) == .none)
        #expect(self.journal.pollBegan(at: self.at(200)).position == Self.position(10))
    }

    @Test("a poll proves freshness from its begin, where the control log was read and is not known to be ahead")
    mutating func polls() {
        _ = self.bus(1, relayed: 10)
        self.lose()
        let isNew = self.poll(at: 500, next: 12)
        #expect(!isNew)
        #expect(self.journal.stamp == 1)
        #expect(self.proof(at: 1_499) == .journal)
        #expect(self.proof(at: 1_500) == .none)
        _ = self.poll(at: 1_600, next: 14, isControlCurrent: false)
        #expect(self.proof(at: 1_601) == .none)
        #expect(
            self.journal.pollBegan(at: self.at(1_700)).position == Self.position(14),
            "its rows are applied all the same"
        )
        _ = self.poll(at: 1_800, next: 14)
        self.journal.controlBehind()
        #expect(self.proof(at: 1_801) == .none)
    }

    @Test("the relayed position is no anchor before the applier has reached its heartbeat, whichever comes first")
    mutating func anchorWaits() throws {
        _ = self.bus(1, relayed: 10)
        let sent = self.lease.heartbeatSending(at: self.at(250))
        let late = try #require(sent)
        self.journal.heartbeatReplied(late, relayed: Self.position(20), at: self.at(250))
        #expect(self.journal.pollBegan(at: self.at(260)).position == Self.position(10))
        self.journal.heartbeatReached(late, at: self.at(270))
        #expect(self.journal.pollBegan(at: self.at(280)).position == Self.position(20))
        let next = self.lease.heartbeatSending(at: self.at(500))
        let quick = try #require(next)
        self.journal.heartbeatReached(quick, at: self.at(500))
        #expect(self.journal.pollBegan(at: self.at(510)).position == Self.position(20))
        self.journal.heartbeatReplied(quick, relayed: Self.position(30), at: self.at(520))
        #expect(self.journal.pollBegan(at: self.at(530)).position == Self.position(30))
    }

    @Test("what a heartbeat of another session told is no anchor")
    mutating func anchorOfAnotherSession() throws {
        _ = self.bus(1, relayed: 10)
        let sent = self.lease.heartbeatSending(at: self.at(250))
        let old = try #require(sent)
        self.journal.heartbeatReplied(old, relayed: Self.position(20), at: self.at(250))
        self.lose()
        #expect(self.journal.pollBegan(at: self.at(260)).position == Self.position(10))
        _ = self.bus(2, relayed: nil)
        self.journal.heartbeatReached(old, at: self.at(300))
        #expect(self.journal.pollBegan(at: self.at(310)).position == Self.position(10))
    }

    @Test("an anchor never goes back, nor to a position that lacks what it knows")
    mutating func anchorStands() {
        _ = self.bus(1, relayed: 20)
        self.beat(relayed: 15, at: 250)
        #expect(self.journal.pollBegan(at: self.at(260)).position == Self.position(20))
        self.beat(relayed: 25, at: 500)
        #expect(self.journal.pollBegan(at: self.at(510)).position == Self.position(25))
    }

    @Test("a new session vouches for the stamp only after a poll that began after its confirmation")
    mutating func joins() {
        _ = self.bus(1, relayed: 10)
        self.lose()
        let early = self.journal.pollBegan(at: self.at(300))
        let isNew = self.bus(2, relayed: 50, at: 400)
        #expect(!isNew)
        #expect(self.journal.stamp == 1, "nothing is verified again")
        #expect(self.proof(at: 1_001) == .none, "what came between the sessions is not known yet")
        _ = self.journal.pollApplied(early, next: Self.position(11), isWhole: true, isControlCurrent: true)
        #expect(self.proof(at: 400) == .journal)
        #expect(self.proof(at: 1_301) == .none)
        #expect(self.journal.isDue(at: self.at(400), broughtAt: self.lease.heardAt))
        _ = self.poll(at: 450, next: 12)
        #expect(self.proof(at: 450) == .bus)
        #expect(!self.journal.isDue(at: self.at(450), broughtAt: self.lease.heardAt))
        #expect(self.journal.pollBegan(at: self.at(460)).position == Self.position(12), "not what was told before it")
        self.beat(relayed: 60, at: 650)
        #expect(self.journal.pollBegan(at: self.at(660)).position == Self.position(60))
    }

    @Test("a session that is lost while a poll runs is not joined by it")
    mutating func lostDuringPoll() {
        _ = self.bus(1, relayed: 10)
        self.lose()
        _ = self.bus(2, relayed: 20)
        let poll = self.journal.pollBegan(at: self.at(100))
        self.lose()
        _ = self.bus(3, relayed: 30, at: 150)
        _ = self.journal.pollApplied(poll, next: Self.position(21), isWhole: true, isControlCurrent: true)
        #expect(self.proof(at: 150) == .journal)
        #expect(self.journal.isDue(at: self.at(151), broughtAt: self.lease.heardAt))
    }

    @Test("what an unjoined session had proved does not outlive it")
    mutating func unjoinedProof() {
        _ = self.bus(1, relayed: 10)
        self.lose()
        _ = self.bus(2, relayed: 20, at: 900)
        self.lose()
        #expect(self.proof(at: 1_001) == .none)
    }

    @Test("a poll that leaves rows out begins a new stamp, which no late poll of the old one touches")
    mutating func overflow() {
        _ = self.bus(1, relayed: 10)
        self.lose()
        let late = self.journal.pollBegan(at: self.at(100))
        let isNew = self.poll(at: 110, next: 900, isWhole: false)
        #expect(isNew)
        let stamp = self.journal.stamp
        #expect(stamp != nil && stamp != 1)
        #expect(self.proof(at: 111) == .journal)
        let isAnother = self.journal.pollApplied(
            late,
            next: Self.position(901),
            isWhole: true,
            isControlCurrent: true
        )
        #expect(!isAnother)
        #expect(self.journal.pollBegan(at: self.at(120)).position == Self.position(900))
        _ = self.poll(at: 130, next: 2_000, isWhole: false)
        #expect(self.journal.stamp != stamp)
    }

    @Test("a node that has no position begins at the journal's head, with a stamp that no session has")
    mutating func withoutBus() {
        #expect(self.journal.isDue(at: self.at(0), broughtAt: nil))
        #expect(self.journal.pollBegan(at: self.at(0)).position == nil)
        let isNew = self.poll(at: 0, next: 5)
        #expect(isNew)
        #expect(self.journal.stamp.map { $0 > 1 << 32 } == true)
        #expect(self.proof(at: 999) == .journal)
        let isNewer = self.bus(1, relayed: 5, at: 100)
        #expect(!isNewer)
        _ = self.poll(at: 150, next: 6)
        #expect(self.proof(at: 1_050) == .bus)
    }

    @Test("a stamp that began with the bus while the head was read is not replaced")
    mutating func headRace() {
        let poll = self.journal.pollBegan(at: self.at(0))
        _ = self.bus(1, relayed: 5)
        let isNew = self.journal.pollApplied(poll, next: Self.position(5), isWhole: true, isControlCurrent: true)
        #expect(!isNew)
        #expect(self.journal.stamp == 1)
    }

    @Test("a position that is older than the journal is kept is not read from")
    mutating func old() {
        _ = self.bus(1, relayed: 10)
        self.lose()
        let day = 24 * 3_600 * 1_000
        #expect(self.journal.pollBegan(at: self.at(day)).position == Self.position(10))
        #expect(self.journal.pollBegan(at: self.at(day + 1)).position == nil)
    }

    @Test("after what breaks the stamp, nothing of before counts: neither entries, nor positions, nor polls under way")
    mutating func broken() {
        _ = self.bus(1, relayed: 10)
        let poll = self.journal.pollBegan(at: self.at(10))
        self.journal.broken()
        #expect(self.journal.stamp == nil)
        #expect(self.proof(at: 11) == .none)
        _ = self.journal.pollApplied(poll, next: Self.position(11), isWhole: true, isControlCurrent: true)
        #expect(self.journal.stamp == nil)
        #expect(self.journal.pollBegan(at: self.at(20)).position == nil)
    }

    @Test(
        "a session whose data was replaced vouches for nothing until it is joined anew, and what it had proved is void"
    )
    mutating func doubted() {
        _ = self.bus(1, relayed: 10, at: 100)
        self.journal.sessionDoubted()
        #expect(self.proof(at: 101) == .none)
        self.lose()
        #expect(self.proof(at: 101) == .none)
        #expect(self.journal.stamp == 1)
        _ = self.poll(at: 200, next: 12)
        #expect(self.proof(at: 201) == .journal)
    }

    @Test("the journal is read when the bus has been silent for its patience, and not before")
    mutating func due() {
        _ = self.bus(1, relayed: 10)
        #expect(!self.journal.isDue(at: self.at(499), broughtAt: self.lease.heardAt))
        #expect(self.journal.isDue(at: self.at(500), broughtAt: self.lease.heardAt))
        self.beat(relayed: 10, at: 510)
        #expect(!self.journal.isDue(at: self.at(1_009), broughtAt: self.lease.heardAt))
        // A change of the control log that is still to be read ends the lease, and is no reason to read the journal.
        self.lease.controlBehind()
        #expect(!self.journal.isDue(at: self.at(520), broughtAt: self.lease.heardAt))
    }
}

@Suite("Beliefs in L2")
struct SharedBeliefsTests {
    private static func key(_ number: Int) -> CacheKey { CacheKey(bytes: [UInt8(number)]) }

    @Test("what was written before a heartbeat was sent is confirmed by it, what came later is not")
    func confirms() {
        var beliefs = SharedBeliefs()
        beliefs.append(Self.key(1))
        let mark = beliefs.mark
        beliefs.append(Self.key(2))
        beliefs.confirm(through: mark)
        #expect(beliefs.take() == [Self.key(2)])
        #expect(beliefs.take() == [])
        beliefs.confirm(through: mark)
        beliefs.append(Self.key(3))
        #expect(beliefs.take() == [Self.key(3)])
    }

    @Test("more than can be held is said to be, until a heartbeat confirms what was left out")
    func tooMany() {
        var beliefs = SharedBeliefs(maximum: 2)
        for number in 0..<3 { beliefs.append(Self.key(number)) }
        let mark = beliefs.mark
        beliefs.append(Self.key(4))
        var lost = beliefs
        #expect(lost.take() == nil)
        #expect(lost.take() == [])
        beliefs.confirm(through: mark)
        // Room again, but one that came after the heartbeat was left out.
        beliefs.append(Self.key(5))
        #expect(beliefs.take() == nil)
        beliefs.append(Self.key(6))
        #expect(beliefs.take() == [Self.key(6)])
    }
}
