import LoadClient

/// Writes one user after the other, and follows each write with reads until twice the bound.
///
/// Before a write the user's list is read on every node: so the item that is bought is one that the user is shown, and every
/// node has a copy that the write makes wrong.
struct UserWriter {
    let session: CheckSession
    var generator: SplitMix
    private let kinds: [WriteKind]
    private var written = 0
    private let number: Int

    /// How often each kind is, beside the others.
    private static let weights: [WriteKind: Int] = [.purchase: 14, .suppression: 5, .consent: 1, .erasure: 1]
    /// A list shorter than this leaves too little to buy.
    private static let shortest = 5

    init(_ session: CheckSession, number: Int) {
        self.session = session
        self.number = number
        self.generator = SplitMix(seed: session.options.seed, number: UInt64(number))
        self.kinds = session.options.kinds.flatMap { kind in
            Array(repeating: kind, count: Self.weights[kind] ?? 0)
        }
    }

    mutating func run() async throws {
        guard !self.kinds.isEmpty else { return }
        // Not all in the same moment.
        let first = min(self.session.options.bound, self.session.options.duration) * Double(self.number % 64) / 64
        try await self.session.clock.sleep(until: first)
        while self.session.isOpen {
            guard let user = self.session.takeUser(&self.generator) else {
                try await self.session.clock.sleep(until: self.session.clock.now + .milliseconds(20))
                continue
            }
            var fate = UserBook.Fate.free(isKnown: user.isKnown)
            do {
                fate = try await self.episode(user)
            } catch is CancellationError {
                // Whatever was to be taken back has been.
            }
            self.session.release(user, fate)
        }
    }

    private mutating func episode(_ user: UserBook.Taken) async throws -> UserBook.Fate {
        var nodes = Array(self.session.options.nodes.indices).shuffled(using: &self.generator)
        let node = nodes.removeLast()
        if !user.isKnown {
            switch try await self.session.consent(of: user.id, on: node) {
            case true?: break
            // The list is not this user's own: nothing that is bought leaves it.
            case false?: return .aside
            case nil:
                try await self.breathe()
                return .free(isKnown: false)
            }
        }
        var shown: [Read] = []
        for each in nodes + [node] {
            if let read = try await self.session.read(.own(user.id), on: each) { shown.append(read) }
        }
        guard shown.count == nodes.count + 1 else {
            try await self.breathe()
            return .free(isKnown: true)
        }
        // In every list, if there is such an item: each node then has a copy that becomes wrong.
        let common = shown.dropFirst().reduce(Set(shown[0].items)) { $0.intersection($1.items) }
        let candidates = shown[0].items.filter(common.contains)
        let isPersonal = shown.allSatisfy(\.isPersonal)
        var kind = self.kinds.randomElement(using: &self.generator)!
        if candidates.count < Self.shortest {
            // Either leaves a list that is full again.
            let emptying = [WriteKind.reset, .erasure].first { self.session.options.kinds.contains($0) }
            guard let emptying, isPersonal else { return .aside }
            kind = emptying
        }
        if kind == .consent || kind == .erasure, !isPersonal { kind = .purchase }
        let item = candidates.randomElement(using: &self.generator)
        return try await self.follow(kind, user.id, item, node: node, others: nodes)
    }

    private mutating func follow(
        _ kind: WriteKind,
        _ user: OpaqueID,
        _ item: OpaqueID?,
        node: Int,
        others: [Int]
    ) async throws -> UserBook.Fate {
        self.written += 1
        let change = UserChange(kind, user, item, event: "check-\(self.session.run)-\(self.number)-\(self.written)")
        var (node, others) = (node, others)
        var answer = try await self.session.write(kind, user: user, item: change.item, node: node, change.request)
        if case .unknown = answer, kind == .purchase, !others.isEmpty {
            // As any client does: the same event again, where somebody answers. Whoever stored it, it counts from here.
            let other = others.indices.randomElement(using: &self.generator)!
            swap(&node, &others[other])
            answer = try await self.session.write(kind, user: user, item: change.item, node: node, change.request)
        }
        var write: Write.ID?
        if case .acknowledged(let id, let acknowledgement) = answer {
            write = id
            do {
                try await self.probe(id, acknowledgement, user, node: node, others: others)
            } catch is CancellationError {
                // What was written must still be taken back.
            }
        }
        var fate = UserBook.Fate.free(isKnown: true)
        if let undo = change.undo, !answer.isRefused {
            // On any node: who has written last is the business of PostgreSQL.
            let other = others.randomElement(using: &self.generator) ?? node
            switch try await self.session.undo(write, node: other, undo) {
            case .done where write != nil: if kind == .consent { self.session.consented(user) }
            // A request without an answer may be carried out later, and undo what the next write does.
            case .done, .doneAgain: fate = .aside
            case .givenUp:
                self.session.note("a \(kind.rawValue) of user \(user) could not be taken back")
                fate = .aside
            }
        }
        if let write { self.session.probed(write) }
        if write == nil { try await self.breathe() }
        return fate
    }

    private mutating func probe(
        _ write: Write.ID,
        _ acknowledgement: Acknowledgement,
        _ user: OpaqueID,
        node: Int,
        others: [Int]
    ) async throws {
        let bound = self.session.options.bound
        for probe in Probe.plan(node: node, others: others, bound: bound, &self.generator) {
            try await self.session.clock.sleep(until: acknowledgement.at + probe.offset)
            let isBatch = Int.random(in: 0..<8, using: &self.generator) == 0
            try await self.session.read(
                isBatch ? .batch([user]) : .own(user),
                on: probe.node,
                minimumVersion: probe.namesVersion ? acknowledgement.userVersion ?? 0 : 0,
                probing: write
            )
        }
    }

    /// Where something fails, it is not asked again at once.
    private func breathe() async throws {
        try await self.session.clock.sleep(until: self.session.clock.now + .milliseconds(100))
    }
}

extension WriteAnswer {
    var isRefused: Bool { if case .refused = self { true } else { false } }
}
