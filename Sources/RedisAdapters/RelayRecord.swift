import Caching

/// What the relay writes after a pass, in one key so that both are of one moment: `HEAD POSITION`.
struct RelayRecord {
    let position: JournalPosition
    let controlHead: Int64

    init(position: JournalPosition, controlHead: Int64) {
        self.position = position
        self.controlHead = controlHead
    }

    /// The record of a text; nil for anything else, which is as good as no record.
    init?(_ text: String?) {
        guard let parts = text?.split(separator: " "), parts.count == 2, let head = Int64(parts[0]),
            let position = JournalPosition(String(parts[1]))
        else { return nil }
        self.init(position: position, controlHead: head)
    }

    var text: String { "\(self.controlHead) \(self.position.text)" }
}
