import FoundationEssentials
import Testing

@testable import Observability

@Suite struct LogTimeTests {
    private func timestamp(_ time: LogTime) -> String {
        var out: [UInt8] = []
        time.appendTimestamp(to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    @Test(
        "known moments",
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"), (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"), (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        ]
    )
    func known(seconds: Int64, text: String) {
        #expect(timestamp(LogTime(seconds: seconds)) == text)
    }

    @Test("fractions are cut, not rounded")
    func fraction() {
        #expect(timestamp(LogTime(seconds: 0, nanoseconds: 999_999_999)).hasSuffix("00.999999Z"))
        #expect(timestamp(LogTime(seconds: 0, nanoseconds: 1_000)).hasSuffix("00.000001Z"))
    }

    @Test("every day of four centuries is Foundation's")
    func calendar() {
        for day in stride(from: Int64(-73_000), to: 73_000, by: 1) {
            let seconds = day * 86_400 + 45_296
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
            let text = timestamp(LogTime(seconds: seconds))
            guard text == expected.dropLast() + ".000000Z" else {
                Issue.record("\(text) is not \(expected)")
                return
            }
        }
    }
}
