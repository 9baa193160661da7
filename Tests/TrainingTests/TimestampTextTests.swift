import RecommendationCore
import Testing

@testable import Training

@Suite("TimestampText")
struct TimestampTextTests {
    @Test(
        "a moment and its text belong together",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.000001Z"), (-1, "1969-12-31T23:59:59.999999Z"),
            (1_709_251_199_500_000, "2024-02-29T23:59:59.500Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "+010000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999999Z"),
            (-210_866_803_200_000_000, "-004713-11-24T00:00:00.000Z"),
            (Int64.max - 1, "+294247-01-10T04:00:54.775806Z"), (Int64.max, "infinity"), (Int64.min, "-infinity"),
        ] as [(Int64, String)]
    )
    func pairs(microseconds: Int64, text: String) {
        #expect(TimestampText.text(of: Timestamp(microseconds: microseconds)) == text)
        #expect(TimestampText.parse(text) == Timestamp(microseconds: microseconds))
    }

    @Test("the quick reader and the general one agree")
    func agreement() {
        var generator = SplitMix64(seed: 7, stream: 1)
        for _ in 0..<20_000 {
            let moment = Timestamp(microseconds: Int64(generator.below(253_402_300_800)) * 1_000_000 + 999)
            let text = TimestampText.text(of: moment)
            #expect(TimestampText.parse(text) == moment)
            #expect(Timestamp(rfc3339: text) == moment)
        }
    }

    @Test(
        "what is no time is refused",
        arguments: [
            "", "2026", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z", "2026-01-01T00:00:0xZ", "+294248-01-01T00:00:00Z", "+999999-01-01T00:00:00Z",
            "-000000-01-01T00:00:00Z", "-004714-01-01T00:00:00Z", "-004713-01-01T00:00:00Z", "+10000-01-01T00:00:00Z",
            "+294247-01-10T04:00:54.775807Z",
        ]
    )
    func refused(text: String) {
        #expect(TimestampText.parse(text) == nil)
    }
}
