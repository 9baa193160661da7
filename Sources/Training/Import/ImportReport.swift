/// What an import did.
package struct ImportReport: Equatable, Sendable {
    package var itemsNew = 0
    package var itemsChanged = 0
    package var itemsUnchanged = 0
    package var usersNew = 0
    package var usersChanged = 0
    package var usersUnchanged = 0
    package var interactionsStored = 0
    package var interactionsUnchanged = 0
    /// Users whose version was raised.
    package var usersRaised = 0
    package var rejected = RejectedLines()
    package var duration = Duration.zero
    /// The tenant's new generation; nil where nothing changed.
    package var generation: Int64?

    package init() {}

    package var generationRaised: Bool { self.generation != nil }
    package var seconds: Double { self.duration / .seconds(1) }
    var items: Int { self.itemsNew + self.itemsChanged + self.itemsUnchanged }
    var users: Int { self.usersNew + self.usersChanged + self.usersUnchanged }
    var interactions: Int { self.interactionsStored + self.interactionsUnchanged }
}

/// How far a running import is.
package struct ImportProgress: Equatable, Sendable {
    /// Rows dealt with, rejected ones too.
    package var rows: Int
    /// Bytes of the files read; 0 for demo data.
    package var bytes: Int
    /// Nil for demo data.
    package var totalBytes: Int?
    /// Nil for files: their rows are not counted beforehand.
    package var totalRows: Int?
    package var elapsed: Duration

    package init(rows: Int, bytes: Int = 0, totalBytes: Int? = nil, totalRows: Int? = nil, elapsed: Duration) {
        self.rows = rows
        self.bytes = bytes
        self.totalBytes = totalBytes
        self.totalRows = totalRows
        self.elapsed = elapsed
    }

    /// The share that is done, 0 to 1.
    package var fraction: Double {
        let (done, total) =
            if let totalBytes { (self.bytes, totalBytes) } else { (self.rows, self.totalRows ?? 0) }
        return total > 0 ? min(Double(done) / Double(total), 1) : 0
    }

    package var rowsPerSecond: Double {
        self.elapsed > .zero ? Double(self.rows) / (self.elapsed / .seconds(1)) : 0
    }

    /// What is left if it goes on like this; nil before anything can be said.
    package var remaining: Duration? {
        let fraction = self.fraction
        return fraction > 0 && self.elapsed > .zero ? self.elapsed * ((1 - fraction) / fraction) : nil
    }

    /// One line for a person.
    package var line: String {
        let begin = "\(self.rows) rows, \(Int(self.fraction * 100)) %, \(Int(self.rowsPerSecond)) rows/s"
        guard let remaining else { return begin }
        return "\(begin), \(Int((remaining / .seconds(1)).rounded(.up))) s left"
    }
}
