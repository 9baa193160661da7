/// A moment in UTC, in microseconds since 1970: the resolution of PostgreSQL.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Microseconds since 1970-01-01T00:00:00Z.
    public var microseconds: Int64

    /// The last moment there is: the end of what is for good.
    public static let never = Timestamp(microseconds: .max)

    /// A moment from microseconds since 1970.
    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// A moment from whole seconds since 1970.
    public init(seconds: Int64) {
        self.microseconds = seconds * 1_000_000
    }

    /// The order in time.
    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.microseconds < rhs.microseconds }

    /// Milliseconds since 1970, rounded down.
    public var milliseconds: Int64 {
        let (quotient, remainder) = self.microseconds.quotientAndRemainder(dividingBy: 1_000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The moment as RFC 3339 in UTC with milliseconds, for example `2026-09-01T10:00:00.000Z`.
    public var rfc3339: String {
        var milliseconds = self.milliseconds % 1_000
        var seconds = self.milliseconds / 1_000
        if milliseconds < 0 {
            milliseconds += 1_000
            seconds -= 1
        }
        var secondOfDay = seconds % 86_400
        var day = seconds / 86_400
        if secondOfDay < 0 {
            secondOfDay += 86_400
            day -= 1
        }
        let (year, month, dayOfMonth) = Self.civil(day: day)
        // Written in place: every answer has one.
        let text = String(unsafeUninitializedCapacity: 24) { text in
            func write(_ value: Int64, _ places: ClosedRange<Int>, then mark: Unicode.Scalar) {
                var rest = value.magnitude
                for place in places.reversed() {
                    text[place] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
                    rest /= 10
                }
                text[places.upperBound + 1] = UInt8(ascii: mark)
            }
            write(year, 0...3, then: "-")
            write(month, 5...6, then: "-")
            write(dayOfMonth, 8...9, then: "T")
            write(secondOfDay / 3_600, 11...12, then: ":")
            write(secondOfDay / 60 % 60, 14...15, then: ":")
            write(secondOfDay % 60, 17...18, then: ".")
            write(milliseconds, 20...22, then: "Z")
            return 24
        }
        // No year that is handled today, but one that a caller may send.
        return (0...9_999).contains(year) ? text : "\(year)\(text.dropFirst(4))"
    }

    /// Reads RFC 3339 with any offset and up to nine digits of fraction (cut to microseconds); nil for anything else.
    public init?(rfc3339 string: String) {
        var bytes = Array(string.utf8)[...]
        func digits(_ count: Int) -> Int64? {
            guard bytes.count >= count else { return nil }
            var value: Int64 = 0
            for byte in bytes.prefix(count) {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            bytes = bytes.dropFirst(count)
            return value
        }
        func skip(_ allowed: String) -> Bool {
            guard let first = bytes.first, allowed.utf8.contains(first) else { return false }
            bytes = bytes.dropFirst()
            return true
        }
        guard let year = digits(4), skip("-"), let month = digits(2), skip("-"), let day = digits(2), skip("Tt "),
            let hour = digits(2), skip(":"), let minute = digits(2), skip(":"), let second = digits(2)
        else { return nil }
        guard (1...12).contains(month), day >= 1, day <= Self.daysInMonth(year: year, month: month),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if skip(".") {
            var count = 0
            while let byte = bytes.first, (0x30...0x39).contains(byte) {
                if count < 6 { fraction = fraction * 10 + Int64(byte - 0x30) }
                count += 1
                bytes = bytes.dropFirst()
            }
            guard (1...9).contains(count) else { return nil }
            for _ in count..<max(count, 6) { fraction *= 10 }
        }
        var offset: Int64 = 0
        if !skip("Zz") {
            guard let sign = bytes.first, skip("+-"), let hours = digits(2), skip(":"), let minutes = digits(2),
                hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * 60 * (sign == UInt8(ascii: "-") ? -1 : 1)
        }
        guard bytes.isEmpty else { return nil }
        let days = Self.day(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + min(second, 59) + (second == 60 ? 1 : 0) - offset
        self.microseconds = seconds * 1_000_000 + fraction
    }

    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    private static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = day + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    private static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }
}
