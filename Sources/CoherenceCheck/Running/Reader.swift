import LoadClient

/// Reads any list of any user on any node: of those who are most active, all the time.
struct Reader {
    let session: CheckSession
    private var generator: SplitMix
    private var lastSeen: OpaqueID?

    private static let pause: Duration = .milliseconds(50)

    init(_ session: CheckSession, number: Int) {
        self.session = session
        self.generator = SplitMix(seed: session.options.seed ^ 0x5EED, number: UInt64(number))
    }

    mutating func run() async throws {
        while !self.session.isOver, !Task.isCancelled {
            let next = self.session.clock.now + Self.pause
            let node = Int.random(in: self.session.options.nodes.indices, using: &self.generator)
            if let read = try await self.session.read(self.draw(), on: node) { self.lastSeen = read.items.first }
            try await self.session.clock.sleep(until: next)
        }
    }

    private mutating func draw() -> ListRequest {
        let user = self.session.drawUser(&self.generator)
        switch Int.random(in: 0..<100, using: &self.generator) {
        case 0..<80: return .own(user)
        case 80..<88: return .batch(Array(Set((0..<4).map { _ in self.session.drawUser(&self.generator) })))
        case 88..<94: return .list(self.anyKind(), user)
        case 94..<97: return .list(self.anyKind(), nil)
        default: return self.lastSeen.map { .similar($0, user) } ?? .own(user)
        }
    }

    private mutating func anyKind() -> ListRequest.Kind {
        ListRequest.Kind.allCases.randomElement(using: &self.generator)!
    }
}
