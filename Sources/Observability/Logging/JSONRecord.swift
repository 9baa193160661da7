import Logging

/// The bytes of one JSON log line under construction.
struct JSONRecord {
    private var out: [UInt8] = []
    private let redaction: Redaction

    init(redaction: Redaction) {
        self.redaction = redaction
        out.reserveCapacity(512)
        out.append(UInt8(ascii: "{"))
    }

    consuming func line() -> [UInt8] {
        out += "}\n".utf8
        return out
    }

    mutating func appendTime(_ time: LogTime) {
        appendKey("time", isFirst: true)
        out.append(UInt8(ascii: "\""))
        time.appendTimestamp(to: &out)
        out.append(UInt8(ascii: "\""))
    }

    /// Takes the text as it is: the caller has it cleaned.
    mutating func append(_ key: String, _ text: String) {
        appendKey(key)
        LogText.appendQuoted(text, to: &out)
    }

    mutating func append(_ key: String, _ value: Logger.MetadataValue) {
        appendKey(key)
        appendValue(value)
    }

    mutating func append(_ key: String, _ fields: [(key: String, value: Logger.MetadataValue)]) {
        appendKey(key)
        appendObject(fields)
    }

    private mutating func appendKey(_ key: String, isFirst: Bool = false) {
        if !isFirst { out.append(UInt8(ascii: ",")) }
        LogText.appendQuoted(key, to: &out)
        out.append(UInt8(ascii: ":"))
    }

    private mutating func appendObject(_ fields: [(key: String, value: Logger.MetadataValue)]) {
        out.append(UInt8(ascii: "{"))
        for (index, field) in fields.enumerated() {
            appendKey(field.key, isFirst: index == 0)
            if redaction.hides(key: field.key) {
                LogText.appendQuoted(Redaction.mask, to: &out)
            } else {
                appendValue(field.value)
            }
        }
        out.append(UInt8(ascii: "}"))
    }

    private mutating func appendValue(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text):
            LogText.appendQuoted(redaction.cleaned(text), to: &out)
        case .stringConvertible(let value):
            switch value {
            case let flag as Bool: out += (flag ? "true" : "false").utf8
            case let number as any BinaryInteger: out += String(number).utf8
            case let number as Double where number.isFinite: out += number.description.utf8
            default: LogText.appendQuoted(redaction.cleaned(value.description), to: &out)
            }
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                appendValue(value)
            }
            out.append(UInt8(ascii: "]"))
        case .dictionary(let fields):
            appendObject(fields.sorted { $0.key < $1.key })
        }
    }
}
