import Logging

extension LogHandler {
    /// The event's metadata over the provider's over the logger's, as swift-log has it; sorted by key.
    func merged(with event: LogEvent) -> [(key: String, value: Logger.MetadataValue)] {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        return all.sorted { $0.key < $1.key }
    }
}
