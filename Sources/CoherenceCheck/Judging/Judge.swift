/// Says of writes and reads whether a list held what an earlier write forbids.
///
/// It is told what happened, in any order that a caller comes to know it, with times of one monotonic clock. A write forbids
/// its item (for consent, reset and erasure whatever is explained by the history, for a purge what was computed before it) in
/// every read that begins after the acknowledgement and its bound, until what takes the write back *begins*: a read that is not
/// over by then may show either. An erasure takes back whatever was written of its user.
/// The versions that answers declare only explain; content judges, but for purges, which change none.
///
/// The bound is 0 where the promise has 0 (user scope, on the node that took the write, or for a reader who names the version;
/// control scope once every node has confirmed), and the freshness lease elsewhere. A write without an acknowledgement forbids
/// nothing: it may or may not have happened.
package struct Judge: Sendable {
    /// The freshness lease of the fleet.
    private let bound: Duration
    /// How long after the acknowledgement the relay, or a node's own read, passes at the latest where a write says that it is
    /// not propagated; nil: nobody knows, and such writes are judged on their own node alone.
    private let relay: Duration?

    private struct Entry {
        var write: Write
        var acknowledgement: Acknowledgement?
        /// When what takes it back began.
        var undone: Duration?
        var isProbed = true
        var staleness = Staleness()
        var wasShown = false
    }

    private struct UserEntry {
        /// The newest are at the end.
        var writes: [Write.ID] = []
        /// False while the history may be none of the list's business.
        var hasHistory = true
    }

    private var entries: [Write.ID: Entry] = [:]
    private var users: [OpaqueID: UserEntry] = [:]
    private var control: [Write.ID] = []
    private var next = 1
    /// Of all answers so far.
    private var answers: Set<UInt128> = []

    package private(set) var verdict = Verdict()

    /// What clocks may differ by that tell how old an answer is.
    static let clocks = Duration.milliseconds(100)

    /// So many writes of one user are remembered; older ones are judged no more.
    static let remembered = 32

    package init(bound: Duration, relay: Duration? = nil) {
        self.bound = bound
        self.relay = relay
    }

    // MARK: Writes

    /// A write is about to be sent.
    package mutating func began(_ write: Write) -> Write.ID {
        let id = self.next
        self.next += 1
        self.verdict[write.kind].writes += 1
        var entry = Entry(write: write)
        guard let user = write.user else {
            self.entries[id] = entry
            self.control.append(id)
            return id
        }
        var known = self.users[user] ?? UserEntry()
        switch write.kind {
        case .purchase:
            // There is a history again, which may explain items.
            self.end(known.writes, of: [.reset, .erasure], at: write.begin)
            // Without consent nothing says that the purchase will be heeded.
            if !known.hasHistory { entry.undone = write.begin }
        case .reset: self.end(known.writes, of: [.purchase], at: write.begin)
        case .erasure:
            self.end(known.writes, of: [.purchase, .suppression, .consent, .reset], at: write.begin)
            known.hasHistory = true
        case .consent:
            self.end(known.writes, of: [.purchase], at: write.begin)
            known.hasHistory = false
        case .suppression, .tombstone, .hidden, .stock, .purge: break
        }
        known.writes.append(id)
        if known.writes.count > Self.remembered {
            // What is still probed is among the newest: a user has one write under way.
            self.entries[known.writes.removeFirst()] = nil
        }
        self.entries[id] = entry
        self.users[user] = known
        return id
    }

    package mutating func acknowledged(_ id: Write.ID, _ acknowledgement: Acknowledgement) {
        guard let kind = self.entries[id]?.write.kind else { return }
        self.verdict[kind].acknowledged += 1
        if !acknowledgement.propagated { self.verdict[kind].unpropagated += 1 }
        self.entries[id]?.acknowledgement = acknowledgement
    }

    /// Nobody knows whether the write happened.
    package mutating func failed(_ id: Write.ID) {
        guard let kind = self.entries[id]?.write.kind else { return }
        self.verdict[kind].unknown += 1
        self.forget(id)
    }

    /// The write was refused for good: it did not happen.
    package mutating func refused(_ id: Write.ID) {
        guard let entry = self.entries[id] else { return }
        self.verdict[entry.write.kind].writes -= 1
        if entry.write.kind == .consent, let user = entry.write.user { self.users[user]?.hasHistory = true }
        self.forget(id)
    }

    /// What takes a write back is about to be sent.
    package mutating func undoing(_ id: Write.ID, at begin: Duration) {
        guard let undone = self.entries[id]?.undone else {
            self.entries[id]?.undone = begin
            return
        }
        self.entries[id]?.undone = min(undone, begin)
    }

    /// A user's consent was certainly given again: purchases count from here on.
    package mutating func consented(_ user: OpaqueID) { self.users[user]?.hasHistory = true }

    /// No more reads are made to judge this write; those that others make still are, where it was not taken back.
    package mutating func probed(_ id: Write.ID) {
        guard let entry = self.entries[id], entry.isProbed else { return }
        self.entries[id]?.isProbed = false
        self.verdict.record(entry.staleness)
        if entry.undone != nil { self.forget(id) }
    }

    /// Ends what writes of some kinds forbid.
    private mutating func end(_ ids: [Write.ID], of kinds: Set<WriteKind>, at begin: Duration) {
        for id in ids {
            guard let entry = self.entries[id], kinds.contains(entry.write.kind) else { continue }
            self.undoing(id, at: begin)
        }
    }

    private mutating func forget(_ id: Write.ID) {
        guard let entry = self.entries.removeValue(forKey: id) else { return }
        if let user = entry.write.user {
            self.users[user]?.writes.removeAll { $0 == id }
        } else {
            self.control.removeAll { $0 == id }
        }
    }

    // MARK: Reads

    package mutating func answered(_ read: Read) {
        self.verdict.reads += 1
        if read.isUnverified || read.isControlUnverified { self.verdict.unverified += 1 }
        if let answer = read.answer, !self.answers.insert(answer).inserted { self.verdict.repeated += 1 }
        for id in self.control { self.judge(read, id) }
        guard let user = read.user, let known = self.users[user] else { return }
        for id in known.writes { self.judge(read, id) }
    }

    private mutating func judge(_ read: Read, _ id: Write.ID) {
        guard let entry = self.entries[id], let acknowledgement = entry.acknowledgement,
            read.begin > acknowledgement.at
        else { return }
        // It was under way when the write was taken back.
        if let undone = entry.undone, read.end > undone { return }
        let kind = entry.write.kind
        let shows =
            if kind == .purge {
                read.age.map { read.end - $0 < entry.write.begin - Self.clocks } ?? false
            } else {
                entry.write.item.map(read.items.contains) ?? read.isPersonal
            }
        // What is unknown of a user is no excuse for showing what everybody is denied, nor the other way round.
        let isExempt = kind.isControl ? read.isControlUnverified : read.isUnverified
        if !isExempt, read.minimumVersion == 0 {
            let isOwn = read.node == entry.write.node
            let age = shows ? read.begin - acknowledgement.at : .zero
            if entry.isProbed {
                self.entries[id]?.staleness.note(age, isOwn: isOwn)
            } else if shows {
                var late = Staleness()
                late.note(age, isOwn: isOwn)
                self.verdict.record(late)
            }
        }
        guard let bound = self.bound(of: entry.write, acknowledgement, for: read) else {
            self.verdict[kind].unpropagatedReads += 1
            return
        }
        guard read.begin > acknowledgement.at + bound else { return }
        if isExempt {
            self.verdict[kind].exempt += 1
            if shows { self.verdict[kind].exemptShown += 1 }
            return
        }
        if read.probed == id { self.verdict[kind].pairs += 1 } else { self.verdict[kind].incidental += 1 }
        guard shows else { return }
        self.verdict[kind].violations += 1
        // One read of a write is enough of an example.
        if !entry.wasShown {
            self.entries[id]?.wasShown = true
            self.verdict.add(
                Violation(write: entry.write, acknowledgement: acknowledgement, read: read, bound: bound)
            )
        }
    }

    /// How long after an acknowledgement a read may begin and still show what was before; nil: nobody knows.
    private func bound(of write: Write, _ acknowledgement: Acknowledgement, for read: Read) -> Duration? {
        if write.kind.isControl {
            if acknowledgement.isEverywhere { return .zero }
        } else {
            if read.node == write.node { return .zero }
            // Lists that are nobody's own take no version.
            if let version = acknowledgement.userVersion, read.minimumVersion >= version { return .zero }
        }
        return acknowledgement.propagated ? self.bound : self.relay.map { $0 + self.bound }
    }
}
