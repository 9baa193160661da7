/// Prometheus text format 0.0.4, line by line.
enum Exposition {
    static func appendHeader(name: String, type: MetricKind, help: String?, to out: inout [UInt8]) {
        if let help {
            out += "# HELP ".utf8
            out += name.utf8
            out.append(UInt8(ascii: " "))
            append(escaping: help, quotes: false, to: &out)
            out.append(UInt8(ascii: "\n"))
        }
        out += "# TYPE ".utf8
        out += name.utf8
        out.append(UInt8(ascii: " "))
        out += type.rawValue.utf8
        out.append(UInt8(ascii: "\n"))
    }

    static func appendSample(
        name: String,
        suffix: String = "",
        labels: LabelSet,
        bound: String? = nil,
        value: String,
        to out: inout [UInt8]
    ) {
        out += name.utf8
        out += suffix.utf8
        if !labels.text.isEmpty || bound != nil {
            out.append(UInt8(ascii: "{"))
            out += labels.text.utf8
            if let bound {
                if !labels.text.isEmpty { out.append(UInt8(ascii: ",")) }
                out += "le=\"".utf8
                out += bound.utf8
                out.append(UInt8(ascii: "\""))
            }
            out.append(UInt8(ascii: "}"))
        }
        out.append(UInt8(ascii: " "))
        out += value.utf8
        out.append(UInt8(ascii: "\n"))
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value), abs(value) < 1e15 { return String(whole) }
        return value.description
    }

    /// Help texts escape the backslash and the line feed, label values the quotation mark as well.
    static func append(escaping text: String, quotes: Bool, to out: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): out += "\\\\".utf8
            case UInt8(ascii: "\n"): out += "\\n".utf8
            case UInt8(ascii: "\"") where quotes: out += "\\\"".utf8
            default: out.append(byte)
            }
        }
    }
}
