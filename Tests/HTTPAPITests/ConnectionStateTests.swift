import Testing

@testable import HTTPAPI

@Suite("Connection state")
struct ConnectionStateTests {
    @Test("a request that comes in one piece starts no timer")
    func onePiece() {
        var state = ConnectionState()
        #expect(state.requestBegan(keepAlive: true) == .none)
        #expect(state.requestEnded() == .none)
        #expect(state.readCompleted() == .none)
        #expect(state.answerBegan(closes: false) == .pass)
        #expect(state.answerEnded() == .pass)
        #expect(state.timer == nil)
    }

    @Test("a head that comes in pieces is timed once, from its first byte")
    func slowHead() {
        var state = ConnectionState()
        #expect(state.readCompleted() == .start(.head))
        #expect(state.readCompleted() == .none)
        #expect(state.requestBegan(keepAlive: true) == .stop)
        #expect(state.requestEnded() == .none)
        #expect(state.readCompleted() == .none)
    }

    @Test("a head that never ends is refused")
    func endlessHead() {
        var state = ConnectionState()
        #expect(state.readCompleted() == .start(.head))
        #expect(state.timerFired() == .refuse(.timeout))
        #expect(!state.forwards)
        #expect(state.lingers() == .start(.linger))
        #expect(state.timerFired() == .close)
    }

    @Test("a body that never ends is refused in place of its answer, which is dropped")
    func endlessBody() {
        var state = ConnectionState()
        #expect(state.requestBegan(keepAlive: true) == .none)
        #expect(state.readCompleted() == .start(.body))
        state.bodyArrived()
        #expect(state.readCompleted() == .none)
        #expect(state.timerFired() == .refuse(.timeout))
        #expect(state.answerBegan(closes: false) == .drop)
        #expect(state.answerEnded() == .drop)
    }

    @Test("a body that ends in time stops its timer")
    func bodyInTime() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        #expect(state.readCompleted() == .start(.body))
        #expect(state.requestEnded() == .stop)
    }

    @Test("a body that goes on after its answer ends the connection")
    func bodyAfterAnswer() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        _ = state.readCompleted()
        #expect(state.answerBegan(closes: false) == .pass)
        #expect(state.answerEnded() == .pass)
        #expect(state.timerFired() == .close)
    }

    @Test("a body that stops in the middle of its answer lets the answer end")
    func bodyWithinAnswer() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        _ = state.readCompleted()
        #expect(state.answerBegan(closes: false) == .pass)
        #expect(state.timerFired() == .none)
        #expect(state.answerEnded() == .passAndEnd)
    }

    @Test("nonsense after a request is refused after the request's answer")
    func pipelinedNonsense() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        _ = state.requestEnded()
        #expect(state.fail(.notHTTP) == .none)
        #expect(!state.forwards)
        #expect(state.answerBegan(closes: false) == .pass)
        #expect(state.answerEnded() == .passAndRefuse(.notHTTP))
        #expect(state.answerBegan(closes: false) == .drop)
    }

    @Test("a slow body behind another request is refused in its turn")
    func pipelinedSlowBody() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        _ = state.requestEnded()
        _ = state.requestBegan(keepAlive: true)
        #expect(state.readCompleted() == .start(.body))
        #expect(state.timerFired() == .none)
        #expect(state.answerBegan(closes: false) == .pass)
        #expect(state.answerEnded() == .passAndRefuse(.timeout))
    }

    @Test("the answer to a request that closes says so and is the last")
    func closingRequest() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        _ = state.requestEnded()
        _ = state.requestBegan(keepAlive: false)
        _ = state.requestEnded()
        #expect(state.answerBegan(closes: false) == .pass)
        #expect(state.answerEnded() == .pass)
        #expect(state.answerBegan(closes: false) == .passSayingClose)
        #expect(state.answerEnded() == .passAndEnd)
        #expect(state.isOver)
    }

    @Test("an answer that closes is the last, whatever was pipelined behind it")
    func closingAnswer() {
        var state = ConnectionState()
        for _ in 0..<2 {
            _ = state.requestBegan(keepAlive: true)
            _ = state.requestEnded()
        }
        #expect(state.answerBegan(closes: true) == .passSayingClose)
        #expect(state.answerEnded() == .passAndEnd)
        #expect(state.answerBegan(closes: false) == .drop)
    }

    @Test("a client that ended its side still gets its answer, and a lingering connection closes")
    func inputEnds() {
        var state = ConnectionState()
        _ = state.requestBegan(keepAlive: true)
        _ = state.requestEnded()
        #expect(state.inputEnded() == (.none, .none))
        #expect(state.answerBegan(closes: true) == .passSayingClose)
        #expect(state.answerEnded() == .passAndEnd)
        #expect(state.inputEnded() == (.stop, .close))
    }
}
