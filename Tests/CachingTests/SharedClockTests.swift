import Testing

@testable import Caching

@Suite("Redis time by own time")
struct SharedClockTests {
    @Test("the first answer puts it in the middle of its round trip")
    func first() {
        var clock = SharedClock()
        #expect(clock.offset == nil)
        clock.heard(1_000, sentAt: 100, receivedAt: 110)
        #expect(clock.offset == 895)
    }

    @Test("an answer that took long, on the way there or back, moves nothing that is within its round trip")
    func late() {
        for read: Int64 in [1_201, 2_005, 2_099] {
            var clock = SharedClock()
            clock.heard(1_000, sentAt: 0, receivedAt: 2)
            let known = clock.offset
            clock.heard(read, sentAt: 200, receivedAt: 1_100)
            #expect(clock.offset == known)
        }
    }

    @Test("a clock that was set, or another Redis, is believed as far as the answer tells")
    func moved() {
        var clock = SharedClock()
        clock.heard(1_000, sentAt: 0, receivedAt: 0)
        clock.heard(500, sentAt: 250, receivedAt: 260)
        #expect(clock.offset == 250)
        clock.heard(9_000, sentAt: 500, receivedAt: 510)
        #expect(clock.offset == 8_490)
    }

    @Test("over many answers with pauses of a second it stays within the shortest round trip")
    func pauses() {
        var clock = SharedClock()
        var random = SystemRandomNumberGenerator()
        for beat in 0..<10_000 {
            let sent = Int64(beat) * 2_000
            let before = Int64.random(in: 0...(beat % 7 == 3 ? 1_000 : 1), using: &random)
            let after = Int64.random(in: 0...(beat % 11 == 5 ? 1_000 : 1), using: &random)
            clock.heard(50_000 + sent + before, sentAt: sent, receivedAt: sent + before + after)
            #expect(abs(clock.offset! - 50_000) <= 1)
        }
    }
}
