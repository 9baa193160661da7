import Testing

@testable import Redis

@Suite("The state of a client")
struct RedisClientStateTests {
    typealias State = RedisClientState<String, String>

    @Test("sessions only grow, and waiters get the next one")
    func sessions() {
        var state = State()
        #expect(state.runBegan() == true)
        #expect(state.runBegan() == false, "a client runs once")
        let id = state.reserveWaiter()
        #expect(state.waiterAdded("w", id: id) == nil)
        let first = state.nextSession()
        let ready = state.connectionBecameReady("c1", session: first)
        #expect(ready.waiters == ["w"] && ready.isFirst)
        #expect(state.waiterGaveUp(id: id) == nil, "answered already")
        #expect(state.waiterAdded("x", id: state.reserveWaiter()) == .success(first))

        let second = state.nextSession()
        #expect(second > first)
        #expect(state.connectionLost(session: second) == false, "not the current one")
        #expect(state.connection == "c1")
        #expect(state.connectionLost(session: first) == true)
        #expect(state.connectionLost(session: first) == false)
        #expect(state.connection == nil)
        #expect(state.connectionBecameReady("c2", session: second).isFirst == false)
    }

    @Test("those who wait when the run ends are told, and those who come later, too")
    func end() {
        var state = State()
        let early = state.reserveWaiter()
        #expect(state.waiterAdded("early", id: early) == nil)
        let gone = state.reserveWaiter()
        #expect(state.waiterAdded("gone", id: gone) == nil)
        #expect(state.waiterGaveUp(id: gone) == "gone")
        #expect(state.runEnded() == ["early"])
        #expect(state.waiterAdded("late", id: state.reserveWaiter()) == .failure(.notConnected))
    }

    @Test("one who gives up before it is added does not wait")
    func earlyGiveUp() {
        var state = State()
        let id = state.reserveWaiter()
        #expect(state.waiterGaveUp(id: id) == nil)
        #expect(state.waiterAdded("w", id: id) == .failure(.timeout))
        #expect(state.runEnded() == [])
    }
}
