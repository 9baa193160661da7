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

    @Test("those first in line run together, if they can, but no slot takes more than its part")
    func together() {
        var table = Table(slots: 2)
        for (request, id) in zip("abcdefgh", UInt64(1)...20) { _ = table.arrive("\(request)", id) }
        #expect(table.machine.waitingCount == 6)
        #expect(table.release(0, together: "cdefgh") == "run c+d+e")
        #expect(table.release(1, together: "fh") == "run f")
        #expect(table.release(1) == "run g")
        #expect(table.release(0, together: "h") == "run h")
        #expect(table.release(0) == "idle")
        var long = Table(slots: 1, maxWaiters: 100)
        for id in 1...100 { _ = long.arrive("a", UInt64(id)) }
        #expect(long.release(0, together: "a") == "run " + Array(repeating: "a", count: 8).joined(separator: "+"))
    }

    @Test("one of several is not interrupted; who comes back runs alone, first, or is cancelled by then")
    func givenBack() {
        var table = Table(slots: 1, maxWaiters: 4)
        for (request, id) in zip("abcde", UInt64(1)...20) { _ = table.arrive("\(request)", id, until: 9) }
        #expect(table.release(0, together: "bcde") == "run b+c+d+e")
        for (request, id) in zip("fghi", UInt64(6)...20) { _ = table.arrive("\(request)", id, until: 9) }
        #expect(table.cancel(4) == "nothing")
        #expect(table.giveBack("e", 5, from: 0, until: 7) == "wait, timer 7")
        #expect(table.giveBack("d", 4, from: 0) == "refuse d cancelled")
        #expect(table.giveBack("c", 3, from: 0, until: 8) == "wait")
        #expect(table.cancel(5) == "refuse e")
        #expect(table.release(0) == "run c")
        #expect(table.cancel(3) == "interrupt 0")
        #expect(table.release(0) == "run f")
    }

    @Test("who comes back gets a free slot; while stopping, it runs before its slot is closed")
    func givenBackAtTheEnd() {
        var table = Table(slots: 2)
        for (request, id) in zip("abcdef", UInt64(1)...20) { _ = table.arrive("\(request)", id) }
        #expect(table.release(0, together: "cdef") == "run c+d")
        #expect(table.release(1, together: "ef") == "run e")
        #expect(table.release(1) == "run f")
        #expect(table.release(1) == "idle")
        #expect(table.giveBack("d", 4, from: 0) == "run 1 d")
        #expect(table.machine.shutdownBegan().refused == [])
        #expect(table.giveBack("c", 3, from: 0) == "wait")
        #expect(table.release(0) == "run c")
        #expect(table.release(0) == "close")
        #expect(table.release(1) == "close")
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
                    switch machine.slotReleased(slot, goesTogether: { $0.hasSuffix("1") || $0.hasSuffix("2") }) {
                    case .run(let request): answers[request, default: 0] += 1
                    case .runTogether(let requests):
                        #expect(requests.count == 2)
                        for request in requests { answers[request, default: 0] += 1 }
                    case .keepIdle, .close: busy.remove(slot)
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
        words(machine.requestArrived(request, id: id, deadline: start + .seconds(deadline)))
    }

    mutating func giveBack(_ request: String, _ id: UInt64, from slot: Int, until deadline: Int = 1) -> String {
        words(machine.requestReturned(request, id: id, from: slot, deadline: start + .seconds(deadline)))
    }

    private func words(_ action: PoolStateMachine<String>.ArrivalAction) -> String {
        switch action {
        case .run(let slot, let request): "run \(slot) \(request)"
        case .wait(let timer): timer.map { "wait, timer \(seconds($0))" } ?? "wait"
        case .refuse(let request, let error): "refuse \(request) \(error)"
        }
    }

    /// The requests in `together` may run with each other.
    mutating func release(_ slot: Int, together: String = "") -> String {
        switch machine.slotReleased(slot, goesTogether: { together.contains($0) }) {
        case .run(let request): "run \(request)"
        case .runTogether(let requests): "run \(requests.joined(separator: "+"))"
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
