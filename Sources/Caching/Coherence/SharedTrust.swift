/// Whether what L2 says can be believed (coherence, section 6).
///
/// Redis may come back with older data: floors that were raised are gone. `vireo:relayed` goes back with them, and the relay
/// raises again what came after it. So whenever the data may have gone back (a connect, a time-out, a `relayed` that is gone
/// or lower than before), L2 is not trusted until `relayed` has reached the journal's head as it was *after* that. Until
/// then every entry is checked against the version in PostgreSQL.
struct SharedTrust: Sendable, Equatable {
    private(set) var isTrusted = false
    private var generation: UInt64 = 0
    private var target: UInt64?
    private var lastRelayed: UInt64?

    /// What must be done for trust to come back.
    enum Need: Sendable, Equatable {
        case nothing
        /// Read the journal's head and report it with this number.
        case journalHead(generation: UInt64)
    }

    /// A connection broke or a call timed out.
    mutating func doubted() {
        self.isTrusted = false
        self.generation += 1
        self.target = nil
    }

    /// The journal's head, read after the doubt of that generation.
    mutating func headRead(_ head: UInt64, generation: UInt64) {
        guard generation == self.generation, !self.isTrusted else { return }
        self.target = head
    }

    /// A heartbeat returned how far the relay is. True: the data went back, and the session should be renewed.
    mutating func relayedRead(_ relayed: UInt64?) -> Bool {
        let wentBack =
            switch (self.lastRelayed, relayed) {
            case (nil, _): false
            case (.some, nil): true
            case (.some(let last), .some(let now)): now < last
            }
        self.lastRelayed = relayed
        if wentBack { self.doubted() }
        if !self.isTrusted, let target, let relayed, relayed >= target { self.isTrusted = true }
        return wentBack
    }

    var need: Need {
        self.isTrusted || self.target != nil ? .nothing : .journalHead(generation: self.generation)
    }
}
