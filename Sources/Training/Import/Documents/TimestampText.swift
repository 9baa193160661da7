import RecommendationCore

/// Moments as they stand in files: RFC 3339; written in UTC with milliseconds, or with microseconds where there are some.
///
/// Years outside 0 to 9999, which RFC 3339 cannot tell and PostgreSQL can hold, have a sign and six digits, as in ECMAScript.
enum TimestampText {
    static let allowed = "an RFC 3339 time, for example 2026-09-01T10:00:00Z"

    /// What PostgreSQL and 64 bits of microseconds since 1970 can hold: 4713 BC to 294247 AD.
    private static let storable: ClosedRange<Int64> = -210_866_803_200_000_000...(Int64.max - 1)
    private static let cycle: Int64 = 146_097 * 86_400_000_000
    /// 2000-01-01, where a cycle begins.
    private static let cycleStart: Int64 = 946_684_800_000_000

    static func parse(_ text: String) -> Timestamp? {
        if text == "infinity" { return Timestamp(microseconds: .max) }
        if text == "-infinity" { return Timestamp(microseconds: .min) }
        if let moment = Self.parsePlain(text) { return moment }
        guard let sign = text.utf8.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else {
            return Timestamp(rfc3339: text)
        }
        return Self.parseExpanded(text, isNegative: sign == UInt8(ascii: "-"))
    }

    /// The form that is written most, `2026-09-01T10:00:00Z` with or without a fraction; nil for all others.
    private static func parsePlain(_ text: String) -> Timestamp? {
        var text = text
        return text.withUTF8 { bytes -> Timestamp? in
            guard bytes.count >= 20, bytes.count <= 27, bytes[bytes.count - 1] == UInt8(ascii: "Z"),
                bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T"),
                bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":")
            else { return nil }
            var isValid = true
            func digits(_ range: Range<Int>) -> Int64 {
                var value: Int64 = 0
                for index in range {
                    let digit = bytes[index] &- UInt8(ascii: "0")
                    if digit > 9 { isValid = false }
                    value = value * 10 + Int64(digit)
                }
                return value
            }
            let (year, month, day) = (digits(0..<4), digits(5..<7), digits(8..<10))
            let (hour, minute, second) = (digits(11..<13), digits(14..<16), digits(17..<19))
            var fraction: Int64 = 0
            if bytes.count > 20 {
                guard bytes[19] == UInt8(ascii: "."), bytes.count > 21 else { return nil }
                fraction = digits(20..<(bytes.count - 1))
                for _ in (bytes.count - 1)..<26 { fraction *= 10 }
            }
            // What is at the edge of a month, or a leap second, is left to the general reader.
            guard isValid, (1...12).contains(month), (1...28).contains(day), hour < 24, minute < 60, second < 60 else {
                return nil
            }
            let seconds = Self.day(year: year, month: month, day: day) * 86_400 + hour * 3_600 + minute * 60 + second
            return Timestamp(microseconds: seconds * 1_000_000 + fraction)
        }
    }

    private static func parseExpanded(_ text: String, isNegative: Bool) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count > 7, bytes[1..<7].allSatisfy({ (0x30...0x39).contains($0) }),
            let magnitude = Int64(String(decoding: bytes[1..<7], as: UTF8.self)), !isNegative || magnitude > 0
        else { return nil }
        // Four centuries repeat exactly: the rest is read in a year of the same shape.
        let year = isNegative ? -magnitude : magnitude
        guard (-4_713...294_247).contains(year) else { return nil }
        let cycles = (year - 2_000) >= 0 ? (year - 2_000) / 400 : (year - 2_000 - 399) / 400
        let shifted = "\(year - cycles * 400)" + String(decoding: bytes[7...], as: UTF8.self)
        guard let moment = Timestamp(rfc3339: shifted) else { return nil }
        let (microseconds, overflow) = moment.microseconds.addingReportingOverflow(cycles * Self.cycle)
        guard !overflow, Self.storable.contains(microseconds) else { return nil }
        return Timestamp(microseconds: microseconds)
    }

    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"; for years from 0.
    private static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func text(of moment: Timestamp) -> String {
        switch moment.microseconds {
        case .max: return "infinity"
        case .min: return "-infinity"
        // Before 0000-01-01 and from 10000-01-01 on.
        case ..<(-62_167_219_200_000_000), 253_402_300_800_000_000...: break
        default: return Self.plainText(of: moment)
        }
        var cycles = moment.microseconds / Self.cycle - Self.cycleStart / Self.cycle
        if moment.microseconds - cycles * Self.cycle < Self.cycleStart { cycles -= 1 }
        let shifted = Self.plainText(of: Timestamp(microseconds: moment.microseconds - cycles * Self.cycle))
        let year = (Int64(String(shifted.prefix(4))) ?? 0) + cycles * 400
        let digits = "\(year.magnitude)"
        return (year < 0 ? "-" : "+") + String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
            + String(shifted.dropFirst(4))
    }

    private static func plainText(of moment: Timestamp) -> String {
        let text = moment.rfc3339
        var fraction = moment.microseconds % 1_000
        if fraction < 0 { fraction += 1_000 }
        guard fraction != 0 else { return text }
        let digits = "\(fraction)"
        return String(text.dropLast()) + String(repeating: "0", count: 3 - digits.utf8.count) + digits + "Z"
    }
}
