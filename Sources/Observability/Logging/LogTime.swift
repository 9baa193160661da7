import Glibc

/// A moment on the wall clock.
package struct LogTime: Sendable, Equatable {
    package var seconds: Int64
    package var nanoseconds: Int

    package init(seconds: Int64, nanoseconds: Int = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func now() -> LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(seconds: Int64(time.tv_sec), nanoseconds: time.tv_nsec)
    }

    /// `2026-11-21T08:22:24.123456Z` (RFC 3339, UTC).
    func appendTimestamp(to out: inout [UInt8]) {
        let day = Self.floorDivided(seconds, by: 86_400)
        let (year, month, date) = Self.civil(daysSince1970: day.quotient)
        Self.append(year, digits: 4, to: &out)
        out.append(UInt8(ascii: "-"))
        Self.append(month, digits: 2, to: &out)
        out.append(UInt8(ascii: "-"))
        Self.append(date, digits: 2, to: &out)
        out.append(UInt8(ascii: "T"))
        appendTimeOfDay(fractionDigits: 6, to: &out)
        out.append(UInt8(ascii: "Z"))
    }

    /// `08:22:24.123` (UTC).
    func appendTimeOfDay(fractionDigits: Int, to out: inout [UInt8]) {
        let second = Self.floorDivided(seconds, by: 86_400).remainder
        Self.append(second / 3_600, digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        Self.append(second / 60 % 60, digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        Self.append(second % 60, digits: 2, to: &out)
        out.append(UInt8(ascii: "."))
        var fraction = Int64(nanoseconds)
        for _ in fractionDigits..<9 { fraction /= 10 }
        Self.append(fraction, digits: fractionDigits, to: &out)
    }

    private static func floorDivided(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// The Gregorian date, counting years from March so that the leap day comes last.
    ///
    /// An era is 400 years, 146,097 days.
    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivided(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func append(_ value: Int64, digits: Int, to out: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}
