import Testing

@testable import Caching

/// What heartbeats and passes say together, step by step.
@Suite("Passes of the relay")
struct RelayPassesTests {
    let start = ContinuousClock.now
    var passes = RelayPasses()
    var number: UInt64 = 0

    init() { self.passes.sessionBegan(1) }

    func at(_ milliseconds: Int) -> ContinuousClock.Instant { self.start.advanced(by: .milliseconds(milliseconds)) }

    /// A heartbeat that is answered, and then comes back.
    mutating func beat(_ count: UInt64, at milliseconds: Int, relay: String = "a", comesBack: Bool = true) {
        self.number += 1
        let heartbeat = Heartbeat(session: 1, number: self.number)
        self.passes.heartbeatReplied(
            heartbeat,
            pass: RelayPass(relay: relay, count: count),
            sentAt: self.at(milliseconds)
        )
        if comesBack { self.passes.heartbeatReached(heartbeat) }
    }

    @Test("the last of two more passes began after the heartbeat before them; one may have been under way")
    mutating func two() {
        self.beat(7, at: 0)
        #expect(self.passes.broughtThrough == nil)
        self.beat(8, at: 250)
        #expect(self.passes.broughtThrough == nil)
        self.beat(9, at: 500)
        #expect(self.passes.broughtThrough == self.at(0))
        self.beat(12, at: 750)
        #expect(self.passes.broughtThrough == self.at(500))
        self.beat(12, at: 1_000)
        #expect(self.passes.broughtThrough == self.at(500))
        #expect(self.passes.toldAt == self.at(750))
    }

    @Test("what is brought is applied when the heartbeat that was told comes back, in either order")
    mutating func reached() {
        self.beat(1, at: 0)
        self.beat(4, at: 250, comesBack: false)
        #expect(self.passes.broughtThrough == nil)
        self.passes.heartbeatReached(Heartbeat(session: 2, number: 9))
        #expect(self.passes.broughtThrough == nil, "of another session")
        self.passes.heartbeatReached(Heartbeat(session: 1, number: 2))
        #expect(self.passes.broughtThrough == self.at(0))
        self.passes.heartbeatReached(Heartbeat(session: 1, number: 3))
        self.passes.heartbeatReplied(
            Heartbeat(session: 1, number: 3),
            pass: RelayPass(relay: "a", count: 6),
            sentAt: self.at(500)
        )
        #expect(self.passes.broughtThrough == self.at(250))
    }

    @Test("another relay, or a count that went back, begins anew; so does a session")
    mutating func anew() {
        self.beat(1, at: 0)
        self.beat(5, at: 250, relay: "b")
        #expect(self.passes.broughtThrough == nil)
        self.beat(4, at: 500, relay: "b")
        self.beat(6, at: 750, relay: "b")
        #expect(self.passes.broughtThrough == self.at(500))
        self.passes.sessionEnded()
        #expect(self.passes.broughtThrough == nil)
        self.passes.sessionBegan(2)
        self.beat(20, at: 1_000)
        #expect(self.passes.toldAt == nil, "a heartbeat of the session before")
    }

    @Test("the word of a pass; any other is a relay of its own")
    func words() {
        let pass = RelayPass(relay: "k3", count: 41)
        #expect(RelayPass(pass.text) == pass)
        for word in ["", "1xk9", "a:", "a:b", ":", "a:-1"] {
            #expect(RelayPass(word) == RelayPass(relay: word, count: 0))
        }
    }
}
