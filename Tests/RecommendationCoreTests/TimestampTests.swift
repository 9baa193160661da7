import RecommendationCore
import Testing

@Suite struct TimestampTests {
    @Test(
        "known moments are written and read",
        arguments: [
            ("1970-01-01T00:00:00.000Z", 0), ("2000-02-29T12:34:56.789Z", 951_827_696_789_000),
            ("2026-09-01T10:00:00.000Z", 1_788_256_800_000_000), ("1969-12-31T23:59:59.999Z", -1_000),
            ("1900-03-01T00:00:00.000Z", -2_203_891_200_000_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999_000),
            ("0001-01-01T00:00:00.000Z", -62_135_596_800_000_000),
        ] as [(String, Int64)]
    )
    func knownAnswers(text: String, microseconds: Int64) {
        #expect(Timestamp(microseconds: microseconds).rfc3339 == text)
        #expect(Timestamp(rfc3339: text)?.microseconds == microseconds)
    }

    @Test("what is written is read back to the millisecond, over 800 years")
    func roundTrip() {
        var state: UInt64 = 1
        for _ in 0..<3_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let milliseconds = Int64(state >> 18) % 12_600_000_000_000
            let moment = Timestamp(microseconds: milliseconds * 1_000)
            #expect(Timestamp(rfc3339: moment.rfc3339) == moment)
        }
    }

    @Test("every day of four centuries follows the one before")
    func days() {
        var moment = Timestamp(seconds: -11_676_096_000)
        #expect(moment.rfc3339.hasPrefix("1600-01-01"))
        var previous = ""
        for _ in 0..<146_097 {
            let text = moment.rfc3339
            #expect(previous < text)
            #expect(Timestamp(rfc3339: text) == moment)
            previous = text
            moment = Timestamp(microseconds: moment.microseconds + 86_400_000_000)
        }
        #expect(moment.rfc3339.hasPrefix("2000-01-01"))
    }

    @Test("29 February is a day in leap years alone")
    func leapYears() {
        for (year, isLeap) in [("2024", true), ("2023", false), ("1900", false), ("2000", true), ("2100", false)] {
            #expect((Timestamp(rfc3339: "\(year)-02-29T00:00:00Z") != nil) == isLeap)
        }
    }

    @Test("offsets are subtracted")
    func offsets() {
        let noon = Timestamp(rfc3339: "2026-05-05T12:00:00Z")
        #expect(noon != nil)
        #expect(Timestamp(rfc3339: "2026-05-05T14:00:00+02:00") == noon)
        #expect(Timestamp(rfc3339: "2026-05-05T06:30:00-05:30") == noon)
        #expect(Timestamp(rfc3339: "2026-05-06T00:00:00+12:00") == noon)
        #expect(Timestamp(rfc3339: "2026-05-05t12:00:00z") == noon)
        #expect(Timestamp(rfc3339: "2026-05-05 12:00:00-00:00") == noon)
    }

    @Test("fractions of one to nine digits are cut to microseconds")
    func fractions() {
        func microseconds(_ fraction: String) -> Int64? {
            Timestamp(rfc3339: "1970-01-01T00:00:00\(fraction)Z")?.microseconds
        }
        #expect(microseconds(".5") == 500_000)
        #expect(microseconds(".000001") == 1)
        #expect(microseconds(".123456789") == 123_456)
        #expect(microseconds(".1234567890") == nil)
        #expect(microseconds(".") == nil)
    }

    @Test("a leap second is the first of the next minute")
    func leapSecond() {
        #expect(Timestamp(rfc3339: "2016-12-31T23:59:60Z") == Timestamp(rfc3339: "2017-01-01T00:00:00Z"))
    }

    @Test(
        "anything else is no moment",
        arguments: [
            "", "2026", "2026-09-01", "2026-09-01T10:00:00", "2026-9-1T10:00:00Z", "2026-13-01T10:00:00Z",
            "2026-00-01T10:00:00Z", "2026-09-00T10:00:00Z", "2026-09-31T10:00:00Z", "2026-09-01T24:00:00Z",
            "2026-09-01T10:60:00Z", "2026-09-01T10:00:61Z", "2026-09-01T10:00Z", "2026-09-01T10:00:00ZZ",
            "2026-09-01T10:00:00+0200", "2026-09-01T10:00:00+24:00", "2026-09-01T10:00:00+02:60",
            "+026-09-01T10:00:00Z", "2026-09-01T10:00:00.Z", "２０２６-09-01T10:00:00Z", "1788256800",
        ]
    )
    func garbage(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test("milliseconds are rounded down, before 1970 too")
    func milliseconds() {
        #expect(Timestamp(microseconds: 1_999).milliseconds == 1)
        #expect(Timestamp(microseconds: -1).milliseconds == -1)
        #expect(Timestamp(microseconds: -1_000).milliseconds == -1)
        #expect(Timestamp(microseconds: -1_001).milliseconds == -2)
    }

    @Test("the ends of the range can be written")
    func extremes() {
        #expect(Timestamp(microseconds: .max).rfc3339.hasSuffix("Z"))
        #expect(Timestamp(microseconds: .min).rfc3339.hasSuffix("Z"))
    }
}
