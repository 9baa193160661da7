import Testing

@testable import Postgres

@Suite("PoolStateMachine")
struct PoolStateMachineTests {
    @Test("a request gets a free slot at once, and the slot released last")
    func newestSlotFirst() {
        var table = Table(slots: 3)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("b", 2) == "run 1 b")
        #expect(table.release(0) == "idle")
        #expect(table.release(1) == "idle")
        #expect(table.arrive("c", 3) == "run 1 c")
        #expect(table.machine.busyCount == 1)
        #expect(table.machine.idleCount == 2)
    }

    @Test("a freed slot goes to the first in line")
    func firstComeFirstServed() {
        var table = Table(slots: 1)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("b", 2, until: 2) == "wait, timer 2")
        #expect(table.arrive("c", 3, until: 3) == "wait")
        #expect(table.machine.waitingCount == 2)
        #expect(table.release(0) == "run b")
        #expect(table.release(0) == "run c")
        #expect(table.release(0) == "idle")
    }

    @Test("the line is bounded")
    func boundedLine() {
        var table = Table(slots: 1, maxWaiters: 1)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("b", 2) == "wait, timer 1")
        #expect(table.arrive("c", 3) == "refuse c poolQueueFull")
    }

    @Test("a cancelled request leaves the line, a running one is interrupted, an ended one is nobody")
    func cancellation() {
        var table = Table(slots: 1)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("b", 2) == "wait, timer 1")
        #expect(table.arrive("c", 3) == "wait")
        #expect(table.cancel(2) == "refuse b")
        #expect(table.cancel(2) == "nothing")
        #expect(table.cancel(1) == "interrupt 0")
        #expect(table.release(0) == "run c")
        #expect(table.cancel(1) == "nothing")
        #expect(table.cancel(3) == "interrupt 0")
    }

    @Test("requests expire at their deadlines, whatever their order in line")
    func expiry() {
        var table = Table(slots: 1)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("late", 2, until: 9) == "wait, timer 9")
        #expect(table.arrive("soon", 3, until: 4) == "wait, timer 4")
        #expect(table.arrive("between", 4, until: 6) == "wait")
        #expect(table.fire(at: 4) == "expired [\"soon\"], timer 6")
        #expect(table.fire(at: 6) == "expired [\"between\"], timer 9")
        #expect(table.release(0) == "run late")
        #expect(table.fire(at: 9) == "expired []")
        #expect(table.arrive("next", 5, until: 12) == "wait, timer 12")
    }

    @Test("an outdated timer sets no second one")
    func outdatedTimer() {
        var table = Table(slots: 1)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("b", 2, until: 4) == "wait, timer 4")
        #expect(table.release(0) == "run b")
        #expect(table.arrive("c", 3, until: 8) == "wait")
        #expect(table.arrive("d", 4, until: 3) == "wait, timer 3")
        #expect(table.fire(at: 3) == "expired [\"d\"], timer 8")
        #expect(table.fire(at: 4) == "expired []")
        #expect(table.fire(at: 8) == "expired [\"c\"]")
    }

    @Test("requests that arrive before the start run at the start")
    func waitForStart() {
        var table = Table(slots: 2, isStarted: false)
        #expect(table.arrive("a", 1) == "wait, timer 1")
        #expect(table.arrive("b", 2) == "wait")
        #expect(table.arrive("c", 3) == "wait")
        let runnable = table.machine.started()
        #expect(runnable?.map { "\($0.slot) \($0.request)" } == ["0 a", "1 b"])
        #expect(table.release(1) == "run c")
        #expect(table.machine.started() == nil)
    }

    @Test("shutdown refuses the line, closes idle slots at once and busy ones on release")
    func shutdown() {
        var table = Table(slots: 2)
        #expect(table.arrive("a", 1) == "run 0 a")
        let action = table.machine.shutdownBegan()
        #expect(action.refused == [])
        #expect(action.close == [1])
        #expect(table.arrive("b", 2) == "refuse b shutDown")
        #expect(table.machine.slotClosed() == false)
        #expect(table.machine.phase == .stopping)
        #expect(table.release(0) == "close")
        #expect(table.machine.slotClosed() == true)
        #expect(table.machine.phase == .stopped)
        #expect(table.machine.shutdownBegan().close == [])
    }

    @Test("shutdown with a full house refuses all who wait")
    func shutdownRefusesLine() {
        var table = Table(slots: 1)
        #expect(table.arrive("a", 1) == "run 0 a")
        #expect(table.arrive("b", 2) == "wait, timer 1")
        #expect(table.arrive("c", 3) == "wait")
        let action = table.machine.shutdownBegan()
        #expect(action.refused == ["b", "c"])
        #expect(action.close == [])
        #expect(table.release(0) == "close")
    }

    @Test("every request gets exactly one answer in random histories")
    func randomHistories() {
        var random = SplitMix(state: 7)
        for _ in 0..<200 {
            var machine = PoolStateMachine<String>(slots: 3, maxWaiters: 4)
            _ = machine.started()
            let start = ContinuousClock.now
            var answers: [String: Int] = [:]
            var busy: Set<Int> = []
            var clock = 0
            for id in 1...60 {
                clock += 1
                let now = start + .seconds(clock)
                switch machine.requestArrived("\(id)", id: UInt64(id), deadline: now + .seconds(Int(random.below(5)))) {
                case .run(let slot, let request):
                    #expect(busy.insert(slot).inserted)
                    answers[request, default: 0] += 1
                case .wait: #expect(busy.count == 3)
                case .refuse(let request, _): answers[request, default: 0] += 1
                }
                if random.below(2) == 0, let slot = busy.randomElement(using: &random) {
                    if case .run(let request) = machine.slotReleased(slot) {
                        answers[request, default: 0] += 1
                    } else {
                        busy.remove(slot)
                    }
                }
                if random.below(4) == 0 {
                    for request in machine.timerFired(at: now).expired { answers[request, default: 0] += 1 }
                }
                if random.below(6) == 0,
                    case .refuse(let request) = machine.requestCancelled(UInt64(random.below(60) + 1))
                {
                    answers[request, default: 0] += 1
                }
                #expect(machine.busyCount == busy.count)
            }
            for request in machine.shutdownBegan().refused { answers[request, default: 0] += 1 }
            #expect(answers.count == 60)
            #expect(answers.values.allSatisfy { $0 == 1 })
        }
    }
}

/// Events and actions as words and seconds, so that a test reads as a table.
private struct Table {
    var machine: PoolStateMachine<String>
    let start = ContinuousClock.now

    init(slots: Int, maxWaiters: Int = 10, isStarted: Bool = true) {
        machine = PoolStateMachine(slots: slots, maxWaiters: maxWaiters)
        if isStarted { _ = machine.started() }
    }

    mutating func arrive(_ request: String, _ id: UInt64, until deadline: Int = 1) -> String {
        switch machine.requestArrived(request, id: id, deadline: start + .seconds(deadline)) {
        case .run(let slot, let request): "run \(slot) \(request)"
        case .wait(let timer): timer.map { "wait, timer \(seconds($0))" } ?? "wait"
        case .refuse(let request, let error): "refuse \(request) \(error)"
        }
    }

    mutating func release(_ slot: Int) -> String {
        switch machine.slotReleased(slot) {
        case .run(let request): "run \(request)"
        case .keepIdle: "idle"
        case .close: "close"
        }
    }

    mutating func cancel(_ id: UInt64) -> String {
        switch machine.requestCancelled(id) {
        case .refuse(let request): "refuse \(request)"
        case .interrupt(let slot): "interrupt \(slot)"
        case .nothing: "nothing"
        }
    }

    mutating func fire(at time: Int) -> String {
        let (expired, next) = machine.timerFired(at: start + .seconds(time))
        return "expired \(expired)" + (next.map { ", timer \(seconds($0))" } ?? "")
    }

    private func seconds(_ instant: ContinuousClock.Instant) -> Int64 {
        start.duration(to: instant).components.seconds
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
