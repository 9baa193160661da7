import Testing

@testable import LoadTest

@Suite("Arrival schedule")
struct ArrivalScheduleTests {
    @Test(
        "requests are due at n / rate, and none is lost or added by rounding",
        arguments: [(1.0, 10), (3, 7), (1_000, 30), (7_777.7, 11), (0.5, 20)]
    )
    func exact(rate: Double, seconds: Int) {
        var schedule = ArrivalSchedule(rate: rate, duration: .seconds(seconds))
        var count = 0
        while let arrival = schedule.take(by: .seconds(seconds)) {
            let error = arrival.intended / .nanoseconds(1) - Double(count) / rate * 1e9
            #expect(abs(error) <= 1)
            count += 1
        }
        #expect(count == Int((Double(seconds) * rate).rounded(.up)))
        #expect(schedule.next == nil)
    }

    @Test("nothing is taken before it is due")
    func due() {
        var schedule = ArrivalSchedule(rate: 10, duration: .seconds(1))
        #expect(schedule.take(by: .zero)?.kind == .request(0))
        #expect(schedule.take(by: .milliseconds(99)) == nil)
        #expect(schedule.next == .milliseconds(100))
        #expect(schedule.take(by: .milliseconds(100))?.kind == .request(1))
    }

    @Test("a limit ends the schedule after its last request")
    func limit() {
        var schedule = ArrivalSchedule(rate: 10, duration: .seconds(60), limit: 5)
        #expect(schedule.duration == .milliseconds(500))
        var count = 0
        while schedule.take(by: .seconds(60)) != nil { count += 1 }
        #expect(count == 5)
    }

    @Test("extra requests have clocks of their own")
    func extras() {
        var schedule = ArrivalSchedule(
            rate: 2,
            duration: .seconds(2),
            periods: [.milliseconds(700), .milliseconds(1_900)]
        )
        var taken: [(Duration, Arrival.Kind)] = []
        while let arrival = schedule.take(by: .seconds(2)) { taken.append((arrival.intended, arrival.kind)) }
        #expect(taken.map(\.0) == [0, 500, 700, 1_000, 1_400, 1_500, 1_900].map { .milliseconds($0) })
        #expect(
            taken.map(\.1) == [
                .request(0), .request(1), .extra(0, 0), .request(2), .extra(0, 1), .request(3), .extra(1, 0),
            ]
        )
    }
}
