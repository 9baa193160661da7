package import Logging

/// One short line a record, for people: `08:22:24.123 INFO  message key=value`.
///
/// Times are UTC.
package struct ConsoleLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let redaction: Redaction
    private let now: @Sendable () -> LogTime
    private let sink: LogSink

    package init(
        level: Logger.Level = .info,
        metadataProvider: Logger.MetadataProvider? = nil,
        redaction: Redaction = .standard,
        now: @escaping @Sendable () -> LogTime = LogTime.now,
        sink: @escaping LogSink = DescriptorSink.standardError.write
    ) {
        logLevel = level
        self.metadataProvider = metadataProvider
        self.redaction = redaction
        self.now = now
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        now().appendTimeOfDay(fractionDigits: 3, to: &line)
        line += " \(Self.name(of: event.level)) ".utf8
        LogText.append(redaction.cleaned(event.message.description), quoting: false, to: &line)
        if let error = event.error { append("error", .string("\(error)"), to: &line) }
        for field in merged(with: event) { append(field.key, field.value, to: &line) }
        line.append(UInt8(ascii: "\n"))
        sink(line)
    }

    private func append(_ key: String, _ value: Logger.MetadataValue, to line: inout [UInt8]) {
        line.append(UInt8(ascii: " "))
        LogText.append(key, quoting: false, to: &line)
        line.append(UInt8(ascii: "="))
        append(redaction.hides(key: key) ? .string(Redaction.mask) : value, to: &line)
    }

    private func append(_ value: Logger.MetadataValue, to line: inout [UInt8]) {
        switch value {
        case .string(let text): append(redaction.cleaned(text), to: &line)
        case .stringConvertible(let value): append(redaction.cleaned(value.description), to: &line)
        case .array(let values):
            line.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { line.append(UInt8(ascii: " ")) }
                append(value, to: &line)
            }
            line.append(UInt8(ascii: "]"))
        case .dictionary(let fields):
            line.append(UInt8(ascii: "{"))
            for field in fields.sorted(by: { $0.key < $1.key }) { append(field.key, field.value, to: &line) }
            line += " }".utf8
        }
    }

    /// In quotation marks where it would not read as one word.
    private func append(_ text: String, to line: inout [UInt8]) {
        if text.isEmpty || text.utf8.contains(where: { $0 <= 0x20 || "\"=\\".utf8.contains($0) }) {
            LogText.appendQuoted(text, to: &line)
        } else {
            LogText.append(text, quoting: false, to: &line)
        }
    }

    private static func name(of level: Logger.Level) -> String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "CRIT "
        }
    }
}
