package import Logging

/// One JSON object a line, for machines.
///
///     {"time":"…Z","level":"info","label":"…","message":"…","request_id":"…","error":"…","source":"…","metadata":{…}}
///
/// `request_id`, `error` and `metadata` only where there are any. Metadata stay under their own key, so none can pass for a
/// field of the record; booleans and finite numbers given as such stay so. The request's id is taken from `request_id`
/// or from Hummingbird's `hb.request.id`.
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let redaction: Redaction
    private let now: @Sendable () -> LogTime
    private let sink: LogSink

    package init(
        label: String,
        level: Logger.Level = .info,
        metadataProvider: Logger.MetadataProvider? = nil,
        redaction: Redaction = .standard,
        now: @escaping @Sendable () -> LogTime = LogTime.now,
        sink: @escaping LogSink = DescriptorSink.standardError.write
    ) {
        self.label = label
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
        var fields = merged(with: event)
        let requestID = Self.requestIDKeys.lazy
            .compactMap { key in fields.firstIndex { $0.key == key } }
            .first
            .map { fields.remove(at: $0).value }

        var record = JSONRecord(redaction: redaction)
        record.appendTime(now())
        record.append("level", event.level.rawValue)
        record.append("label", label)
        record.append("message", redaction.cleaned(event.message.description))
        if let requestID { record.append("request_id", requestID) }
        if let error = event.error { record.append("error", redaction.cleaned("\(error)")) }
        record.append("source", event.source)
        if !fields.isEmpty { record.append("metadata", fields) }
        sink(record.line())
    }

    private static let requestIDKeys = ["request_id", "hb.request.id"]
}
