import RecommendationCore
import Testing

@testable import Training

@Suite("Schedule of builds")
struct SnapshotScheduleTests {
    @Test(
        "a model is looked at again when it is as old as the interval, whatever the clocks say",
        arguments: [(0, 300), (10, 290), (299, 1), (300, 0), (4_000, 0), (-50, 300)]
    )
    func rest(age: Int64, left: Int64) {
        let builtAt = Timestamp(microseconds: 1_000_000_000)
        let now = Timestamp(microseconds: builtAt.microseconds + age * 1_000_000)
        #expect(SnapshotSchedule.rest(of: .seconds(300), since: builtAt, at: now) == .seconds(left))
    }
}
