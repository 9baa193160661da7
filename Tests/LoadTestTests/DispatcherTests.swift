import Histogram
import LoadClient
import Testing

@testable import LoadTest

@Suite("Dispatcher")
struct DispatcherTests {
    @Test("a server that stands still for a second is seen by all that were due in that second")
    func stall() {
        // 100/s for 20 s over 4 connections; answers take 1 ms, but from second 10 to 11 nothing is answered.
        var run = Simulation(ArrivalSchedule(rate: 100, duration: .seconds(20)), connections: 4) { _, at in
            let answer = at + .milliseconds(1)
            return at >= .seconds(10) && answer < .seconds(11) ? .seconds(11) + .milliseconds(1) : answer
        }
        run.run()
        #expect(run.recorder.completed == 2_000)
        // A closed loop would have had 4 slow answers in 2,000, and a p99.9 that hides the stall.
        let intended = run.recorder.fromIntended
        let sent = run.recorder.fromSent
        #expect(intended.valueAtPercentile(99) > 790_000, "\(intended.valueAtPercentile(99))")
        #expect((990_000...1_010_000).contains(intended.max))
        #expect(sent.valueAtPercentile(99) < 2_000, "\(sent.valueAtPercentile(99))")
        // Of 100 that were due in the stall 4 were under way; the others waited.
        #expect((90...100).contains(run.recorder.delayed))
        #expect((90...100).contains(run.dispatcher.mostWaiting))
    }

    @Test("a server that keeps up is measured the same from either moment")
    func steady() {
        var run = Simulation(ArrivalSchedule(rate: 1_000, duration: .seconds(2)), connections: 8) { _, at in
            at + .milliseconds(3)
        }
        run.run()
        #expect(run.recorder.completed == 2_000)
        #expect(run.recorder.fromIntended.max == run.recorder.fromSent.max)
        #expect(run.recorder.delayed == 0)
        #expect(run.recorder.lag.max == 0)
        #expect(run.sent.map(\.at) == (0..<2_000).map { .milliseconds($0) })
    }

    @Test("a client whose timer fires late is told from a slow server")
    func lateClient() {
        var run = Simulation(ArrivalSchedule(rate: 10, duration: .seconds(5)), connections: 8) { _, at in
            at + .milliseconds(1)
        }
        run.timerDelay = .milliseconds(20)
        run.run()
        #expect(run.recorder.lag.valueAtPercentile(50) >= 19_900)
        #expect(run.recorder.fromSent.max <= 1_000)
        #expect(run.recorder.fromIntended.valueAtPercentile(50) >= 20_900)
    }

    @Test("targets take turns, and one that stands still does not hold up the other")
    func turns() {
        var run = Simulation(ArrivalSchedule(rate: 10, duration: .seconds(2)), targets: 2, connections: 4) {
            connection,
            at in
            connection % 2 == 0 ? at + .milliseconds(1) : nil
        }
        run.run(until: .seconds(2))
        let even = run.sent.filter { $0.connection % 2 == 0 }
        #expect(even.map { $0.arrival.kind } == stride(from: 0, to: 20, by: 2).map { .request($0) })
        #expect(even.allSatisfy { $0.at == $0.arrival.intended })
        // The other has two connections, and its line grows.
        #expect(run.sent.count - even.count == 2)
        #expect(run.dispatcher.waiting == 8)
    }

    @Test("an answer that does not come in time ends its connection, and counts as long as it was waited for")
    func timeout() {
        var limits = Dispatcher.Limits()
        limits.timeout = .seconds(2)
        limits.grace = .seconds(2)
        var run = Simulation(ArrivalSchedule(rate: 1, duration: .seconds(1)), connections: 1, limits: limits) { _, _ in
            nil
        }
        run.run()
        #expect(run.abandoned == [0])
        #expect(run.connects.map(\.connection) == [0])
        #expect(run.recorder.failures == [.timeout: 1])
        #expect((1_999_000...2_001_000).contains(run.recorder.fromIntended.max))
        #expect(run.dispatcher.isFinished)
    }

    @Test("what no connection was free for is counted when the run ends")
    func unsent() {
        var limits = Dispatcher.Limits()
        limits.timeout = .seconds(60)
        limits.grace = .seconds(1)
        var run = Simulation(ArrivalSchedule(rate: 10, duration: .seconds(1)), connections: 2, limits: limits) { _, _ in
            nil
        }
        run.run()
        #expect(run.now == .seconds(2))
        #expect(run.recorder.failures == [.timeout: 2, .unsent: 8])
        #expect(run.recorder.sent == 2)
        #expect(run.recorder.fromIntended.totalCount == 10)
    }

    @Test("a connection that breaks fails its request, is opened again, and serves the line")
    func broken() {
        var run = Simulation(ArrivalSchedule(rate: 10, duration: .seconds(1)), connections: 1) { _, at in
            at >= .milliseconds(450) ? at + .milliseconds(1) : nil
        }
        run.run(until: .milliseconds(350))
        run.breaks(0)
        #expect(run.connects.map(\.connection) == [0])
        run.couldNotOpen(0)
        // Tried again after a tenth of a second, not at once.
        run.run(until: .milliseconds(440))
        #expect(run.connects.count == 1)
        run.run(until: .milliseconds(460))
        #expect(run.connects.count == 2)
        run.open(0)
        run.run()
        #expect(run.recorder.failures == [.closed: 1])
        #expect(run.recorder.completed == 9)
        #expect(run.recorder.fromIntended.totalCount == 9)
    }

    @Test("an idle connection that breaks is opened again and nothing has failed")
    func idleBreak() {
        var run = Simulation(ArrivalSchedule(rate: 10, duration: .seconds(1)), connections: 2) { _, at in
            at + .milliseconds(1)
        }
        run.run(until: .milliseconds(150))
        run.breaks(0)
        run.open(0)
        run.run()
        #expect(run.recorder.failures.isEmpty)
        #expect(run.recorder.completed == 10)
    }

    @Test("a stop lets what is under way end, within its last moment, and sends nothing more")
    func stop() {
        var run = Simulation(ArrivalSchedule(rate: 100, duration: .seconds(10)), connections: 1) { _, at in
            at + .milliseconds(300)
        }
        run.run(until: .seconds(1))
        let sent = run.sent.count
        run.stop(grace: .seconds(1))
        run.run()
        #expect(run.sent.count == sent)
        #expect(run.recorder.completed == sent)
        #expect(run.recorder.failures[.unsent] == 101 - sent)
        #expect(run.now < .seconds(2))
    }

    @Test("a pass over all users is a closed loop: the next goes when a connection is free")
    func pass() {
        var run = Simulation(ArrivalSchedule(allAtOnce: 100, within: .seconds(60)), connections: 4) { _, at in
            at + .milliseconds(10)
        }
        run.run()
        #expect(run.recorder.completed == 100)
        #expect(run.now == .milliseconds(250))
        #expect(run.sent.map(\.arrival.kind) == (0..<100).map { .request($0) })
    }

    @Test(
        "whatever the server does, every request that was due has one outcome",
        arguments: [UInt64](1...20)
    )
    func conservation(seed: UInt64) {
        var generator = SplitMix(seed: seed)
        let delays = (0..<64).map { _ in Int.random(in: 0...3_000, using: &generator) }
        var limits = Dispatcher.Limits()
        limits.timeout = .seconds(1)
        limits.grace = .milliseconds(700)
        let connections = Int.random(in: 2...9, using: &generator)
        var run = Simulation(
            ArrivalSchedule(rate: 97, duration: .seconds(5), periods: [.milliseconds(333)]),
            targets: 2,
            connections: connections,
            limits: limits
        ) { connection, at in
            let delay = delays[Int(at / .milliseconds(1)) % 64]
            return delay > 2_900 ? nil : at + .milliseconds(delay / (connection + 1))
        }
        var step = 0
        var opened = 0
        while !run.dispatcher.isFinished {
            step += 1
            run.run(until: .milliseconds(step * 100))
            let victim = Int.random(in: 0..<connections, using: &generator)
            if step % 3 == 0 { run.breaks(victim) }
            for index in 0..<run.connects.count where index >= opened { run.open(run.connects[index].connection) }
            opened = run.connects.count
        }
        #expect(run.outcomes.count == 485 + 15)
        #expect(run.dispatcher.waiting == 0)
        #expect(run.dispatcher.busy == 0)
        var seen: [Arrival] = []
        for outcome in run.outcomes where !seen.contains(outcome.arrival) { seen.append(outcome.arrival) }
        #expect(seen.count == run.outcomes.count)
    }
}
