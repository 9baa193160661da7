import Testing

@testable import PostgresAdapters

@Suite("The health of a store")
struct StoreHealthTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant { self.start + .seconds(seconds) }

    @Test("while it answers everybody asks")
    func well() {
        var health = StoreHealth()
        for second in 0..<5 {
            #expect(health.callerCame(at: self.at(Double(second))) == true)
            health.answered()
        }
    }

    @Test("after a failure nobody asks for a second; then one tries, and nobody else until the answer")
    func rest() {
        var health = StoreHealth()
        health.failed(at: self.at(0))
        #expect(health.callerCame(at: self.at(0.99)) == false)
        #expect(health.callerCame(at: self.at(1)) == true)
        #expect(health.callerCame(at: self.at(1)) == false)
        #expect(health.callerCame(at: self.at(100)) == false)
        health.answered()
        #expect(health.callerCame(at: self.at(1.1)) == true)
        #expect(health.callerCame(at: self.at(1.1)) == true)
    }

    @Test("those who were under way when it died are one failure")
    func sameFailure() {
        var health = StoreHealth()
        for _ in 0..<8 { health.failed(at: self.at(0.5)) }
        #expect(health.callerCame(at: self.at(1.4)) == false)
        #expect(health.callerCame(at: self.at(1.5)) == true)
    }

    @Test("with patience, it takes some failures in a row, and an answer between them begins anew")
    func patience() {
        var health = StoreHealth(patience: 3, longestRest: .seconds(1))
        for second in 0..<5 {
            health.failed(at: self.at(Double(second)))
            health.failed(at: self.at(Double(second)))
            #expect(health.callerCame(at: self.at(Double(second))) == true)
            health.answered()
        }
        for _ in 0..<3 { health.failed(at: self.at(10)) }
        var now = 10.0
        for _ in 0..<4 {
            #expect(health.callerCame(at: self.at(now + 0.99)) == false)
            now += 1
            #expect(health.callerCame(at: self.at(now)) == true)
            // One who tries is enough to say that it is still so.
            health.failed(at: self.at(now))
        }
    }

    @Test("who gave up while trying lets the next one try, and is no failure otherwise")
    func gaveUp() {
        var health = StoreHealth()
        for _ in 0..<8 { health.gaveUp(at: self.at(0)) }
        #expect(health.callerCame(at: self.at(0)) == true)
        health.failed(at: self.at(0))
        #expect(health.callerCame(at: self.at(1)) == true)
        health.gaveUp(at: self.at(1.5))
        #expect(health.callerCame(at: self.at(1.5)) == true)
        #expect(health.callerCame(at: self.at(1.5)) == false)
    }

    @Test("each further failure doubles the rest, up to half a minute; an answer forgets them all")
    func growth() {
        var health = StoreHealth()
        var now = 0.0
        for rest in [1.0, 2, 4, 8, 16, 30, 30] {
            health.failed(at: self.at(now))
            #expect(health.callerCame(at: self.at(now + rest - 0.01)) == false)
            now += rest
            #expect(health.callerCame(at: self.at(now)) == true)
        }
        health.answered()
        health.failed(at: self.at(now))
        #expect(health.callerCame(at: self.at(now + 1)) == true)
    }
}
