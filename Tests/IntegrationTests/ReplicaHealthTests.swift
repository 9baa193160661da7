import Testing

@testable import PostgresAdapters

@Suite("The health of a replica")
struct ReplicaHealthTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant { self.start + .seconds(seconds) }

    @Test("while it answers everybody asks")
    func well() {
        var health = ReplicaHealth()
        for second in 0..<5 {
            #expect(health.callerCame(at: self.at(Double(second))) == true)
            health.answered()
        }
    }

    @Test("after a failure nobody asks for a second; then one tries, and nobody else until the answer")
    func rest() {
        var health = ReplicaHealth()
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
        var health = ReplicaHealth()
        for _ in 0..<8 { health.failed(at: self.at(0.5)) }
        #expect(health.callerCame(at: self.at(1.4)) == false)
        #expect(health.callerCame(at: self.at(1.5)) == true)
    }

    @Test("each further failure doubles the rest, up to half a minute; an answer forgets them all")
    func growth() {
        var health = ReplicaHealth()
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
