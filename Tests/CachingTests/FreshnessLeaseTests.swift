import Testing

@testable import Caching

@Suite("Freshness lease")
struct FreshnessLeaseTests {
    let start = ContinuousClock.now
    var lease = FreshnessLease(duration: .seconds(1))

    /// The instant `milliseconds` after the start.
    func at(_ milliseconds: Int) -> ContinuousClock.Instant { self.start.advanced(by: .milliseconds(milliseconds)) }

    /// A session whose control log has been read.
    mutating func begin(_ session: UInt64) {
        self.lease.sessionBegan(session)
        self.lease.controlApplied(ticket: self.lease.openTicket)
    }

    mutating func beat(at now: ContinuousClock.Instant) throws -> Heartbeat {
        let heartbeat = self.lease.heartbeatSending(at: now)
        return try #require(heartbeat)
    }

    @Test("no session, no heartbeat, no lease")
    mutating func nothing() {
        let heartbeat = self.lease.heartbeatSending(at: self.at(0))
        #expect(heartbeat == nil)
        #expect(!self.lease.isLive(at: self.at(0)))
    }

    @Test("a heartbeat that came back renews from its send time, not from its arrival")
    mutating func renewsFromSend() throws {
        self.begin(1)
        let heartbeat = try self.beat(at: self.at(100))
        #expect(!self.lease.isLive(at: self.at(100)))
        self.lease.heartbeatReached(heartbeat)
        #expect(self.lease.isLive(at: self.at(1_099)))
        #expect(!self.lease.isLive(at: self.at(1_100)))
    }

    @Test("a heartbeat of another session or number renews nothing")
    mutating func onlyTheExactOne() throws {
        self.begin(1)
        let first = try self.beat(at: self.at(0))
        self.lease.heartbeatReached(Heartbeat(session: 1, number: 77))
        self.lease.heartbeatReached(Heartbeat(session: 2, number: first.number))
        #expect(!self.lease.isLive(at: self.at(1)))
        self.lease.sessionEnded(1)
        self.begin(2)
        self.lease.heartbeatReached(first)
        #expect(!self.lease.isLive(at: self.at(1)))
    }

    @Test("a heartbeat that comes back twice renews once, and an older one after a newer one not at all")
    mutating func neverBackwards() throws {
        self.begin(1)
        let first = try self.beat(at: self.at(0))
        let second = try self.beat(at: self.at(250))
        self.lease.heartbeatReached(second)
        self.lease.heartbeatReached(first)
        #expect(self.lease.provenAt == self.at(250))
    }

    @Test("the loss of the connection ends the lease at once, ahead of what the applier has not reached")
    mutating func lossIsImmediate() throws {
        self.begin(1)
        let heartbeat = try self.beat(at: self.at(0))
        self.lease.heartbeatReached(heartbeat)
        let late = try self.beat(at: self.at(250))
        self.lease.sessionEnded(1)
        #expect(!self.lease.isLive(at: self.at(251)))
        #expect(self.lease.session == nil)
        self.lease.heartbeatReached(late)
        #expect(!self.lease.isLive(at: self.at(252)))
    }

    @Test("a session that was lost before the applier reached its begin never begins")
    mutating func lostBeforeReached() {
        self.lease.sessionEnded(3)
        self.lease.sessionBegan(3)
        #expect(self.lease.session == nil)
        self.lease.sessionBegan(4)
        #expect(self.lease.session == 4)
    }

    @Test("a late end of an old session does not end the new one")
    mutating func oldEnd() {
        self.begin(1)
        self.lease.sessionEnded(1)
        self.begin(2)
        self.lease.sessionEnded(1)
        #expect(self.lease.session == 2)
    }

    @Test("no lease begins before the control log was read in the session")
    mutating func controlFirst() throws {
        self.lease.sessionBegan(1)
        let ticket = self.lease.openTicket
        let heartbeat = try self.beat(at: self.at(0))
        self.lease.heartbeatReached(heartbeat)
        #expect(!self.lease.isLive(at: self.at(1)))
        self.lease.controlApplied(ticket: ticket - 1)
        #expect(!self.lease.isLive(at: self.at(1)), "a read begun before the session proves nothing")
        self.lease.controlApplied(ticket: ticket)
        #expect(self.lease.isLive(at: self.at(1)))
    }

    @Test("a heartbeat behind a control message waits for the read; one before it does not")
    mutating func controlInOrder() throws {
        self.begin(1)
        let before = try self.beat(at: self.at(0))
        let behind = try self.beat(at: self.at(250))
        self.lease.heartbeatReached(before)
        self.lease.controlChanged()
        self.lease.heartbeatReached(behind)
        #expect(self.lease.provenAt == self.at(0))
        self.lease.controlApplied(ticket: self.lease.openTicket)
        #expect(self.lease.provenAt == self.at(250))
    }

    @Test("while reads fail the lease runs out, although heartbeats come back")
    mutating func failingReads() throws {
        self.begin(1)
        let first = try self.beat(at: self.at(0))
        self.lease.heartbeatReached(first)
        self.lease.controlChanged()
        for beat in 1...8 {
            let heartbeat = try self.beat(at: self.at(beat * 250))
            self.lease.heartbeatReached(heartbeat)
        }
        #expect(!self.lease.isLive(at: self.at(2_000)))
    }

    @Test("heartbeats that never come back do not pile up, and the newest still counts")
    mutating func bounded() throws {
        self.begin(1)
        var last: Heartbeat?
        for beat in 0..<1_000 { last = self.lease.heartbeatSending(at: self.at(beat)) }
        self.lease.heartbeatReached(try #require(last))
        #expect(self.lease.provenAt == self.at(999))
    }
}
