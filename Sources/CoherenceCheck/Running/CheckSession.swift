import LoadClient
import NIOCore
import Synchronization

/// What the tasks of a run share: the clock, the connections, the judge, and who uses which user.
final class CheckSession: Sendable {
    private struct State {
        var judge: Judge
        var traffic = Traffic()
        var users = UserBook()
        var notes: [String] = []
        var isOver = false
        var lag: Duration = .zero
        /// Whether the fleet takes `wait=all`; nil: nobody has tried.
        var waitsForAll: Bool?
    }

    let options: CheckOptions
    let clock: RunClock
    /// The middle of the ids of this run's events.
    let run: String
    private let client: NodeClient
    private let admin: NodeClient
    private let zipf: ZipfDistribution
    private let state: Mutex<State>

    init(_ options: CheckOptions, run: String, clock: RunClock, client: NodeClient, admin: NodeClient) {
        self.options = options
        self.run = run
        self.clock = clock
        self.client = client
        self.admin = admin
        self.zipf = ZipfDistribution(count: options.users.count, exponent: options.exponent)
        self.state = Mutex(State(judge: Judge(bound: options.bound, relay: options.relay)))
    }

    // MARK: The course of the run

    /// Whether something new is begun.
    var isOpen: Bool { !Task.isCancelled && self.clock.now < self.options.duration }

    /// Whether all writes have been followed to their end.
    var isOver: Bool { self.state.withLock { $0.isOver } }

    func end() { self.state.withLock { $0.isOver = true } }

    /// The most that the checker itself was late: on a machine that is too busy, errors and few pairs are its own.
    var lag: Duration { self.state.withLock { $0.lag } }

    func late(by lag: Duration) { self.state.withLock { $0.lag = max($0.lag, lag) } }

    func note(_ text: String) {
        self.state.withLock { state in
            if !state.notes.contains(text), state.notes.count < 50 { state.notes.append(text) }
        }
    }

    var result: (verdict: Verdict, traffic: Traffic, notes: [String]) {
        self.state.withLock { ($0.judge.verdict, $0.traffic, $0.notes) }
    }

    // MARK: Users

    func drawUser(_ generator: inout SplitMix) -> OpaqueID {
        self.options.users.id(self.zipf.draw(using: &generator))
    }

    /// A user whom nobody else writes, until ``release(_:_:)``; nil: none was found.
    func takeUser(_ generator: inout SplitMix) -> UserBook.Taken? {
        for attempt in 0..<200 {
            // Where the most active are all taken or used up, anybody will do.
            let index =
                attempt < 100
                ? self.zipf.draw(using: &generator) : Int.random(in: 0..<self.options.users.count, using: &generator)
            let id = self.options.users.id(index)
            if let taken = self.state.withLock({ $0.users.take(index, id) }) { return taken }
        }
        return nil
    }

    func release(_ user: UserBook.Taken, _ fate: UserBook.Fate) {
        self.state.withLock { $0.users.release(user, fate) }
    }

    var usersSetAside: Int { self.state.withLock { $0.users.aside.count } }

    /// Whether a user allows personalisation; nil: it could not be known.
    func consent(of user: OpaqueID, on node: Int) async throws -> Bool? {
        let exchange = try await self.client.send(
            OutgoingRequest(target: "/v1/users/\(user.text.percentEncoded)"),
            to: node
        )
        // Nobody has heard of this user: nobody has said no.
        if case .answer(404, _) = exchange.outcome { return true }
        self.count(exchange, isWrite: false)
        return exchange.body?.decoded(as: UserDocument.self)?.consent.personalization
    }

    // MARK: Reads

    /// Reads a list, and has it judged; nil: there was no answer to judge.
    @discardableResult
    func read(
        _ list: ListRequest,
        on node: Int,
        minimumVersion: Int64 = 0,
        probing write: Write.ID? = nil
    ) async throws -> Read? {
        let request = list.request(limit: self.options.limit, minimumVersion: minimumVersion)
        let headers = list.takesHeader && minimumVersion > 0 ? [("X-Min-Version", String(minimumVersion))] : []
        let exchange = try await self.client.send(request, to: node, headers: headers)
        if list.mayBeMissing, case .answer(404, _) = exchange.outcome { return nil }
        self.count(exchange, isWrite: false)
        guard let body = exchange.body else { return nil }
        let found: [(OpaqueID?, ListDocument)]
        if case .batch = list {
            guard let document: BatchDocument = body.decoded() else { return self.undecodable(request.target) }
            found = document.results.compactMap { result in result.list.map { (OpaqueID(result.user), $0) } }
        } else {
            guard let document: ListDocument = body.decoded() else { return self.undecodable(request.target) }
            found = [(list.user, document)]
        }
        var first: Read?
        for (user, document) in found {
            var read = Read(node: node, path: request.target, user: user, begin: exchange.begin, end: exchange.end)
            read.minimumVersion = list.takesVersion ? minimumVersion : 0
            read.probed = write
            document.fill(&read)
            // Fallbacks are of no computation that a purge would end.
            let isComputed = list.takesVersion && document.served_from.tier != "fallback"
            if isComputed { read.age = .milliseconds(document.served_from.age_ms) }
            let judged = read
            self.state.withLock { state in
                state.judge.answered(judged)
                state.traffic.tiers[document.served_from.tier, default: 0] += 1
            }
            first = first ?? read
        }
        return first
    }

    private func undecodable(_ target: String) -> Read? {
        self.state.withLock { $0.traffic.readErrors["not a list", default: 0] += 1 }
        return nil
    }

    private func count(_ exchange: Exchange, isWrite: Bool) {
        self.state.withLock { $0.traffic.count(exchange, isWrite: isWrite) }
    }

    // MARK: Writes

    /// Writes, and tells the judge; nil: nobody knows whether it happened, or it was refused.
    ///
    /// - Parameter admin: Which of the administration's addresses is asked; nil: the node itself.
    func write(
        _ kind: WriteKind,
        user: OpaqueID? = nil,
        item: OpaqueID? = nil,
        node: Int?,
        admin: Int? = nil,
        isEverywhere: Bool = false,
        _ request: OutgoingRequest
    ) async throws -> WriteAnswer {
        let id = self.state.withLock { state in
            state.judge.began(Write(kind: kind, user: user, item: item, node: node, begin: self.clock.now))
        }
        // Whether a fleet can wait for all is found out by trying.
        let exchange = try await self.send(request, node: node, admin: admin, mayBeUnknown: isEverywhere)
        switch exchange.outcome {
        case .answer(let status, let body) where status == 200 || status == 202:
            guard let document: WriteDocument = body.decoded() else { break }
            let acknowledgement = Acknowledgement(
                at: exchange.end,
                userVersion: document.user_version,
                propagated: document.propagated ?? true,
                isEverywhere: isEverywhere && document.complete == true
            )
            self.state.withLock { $0.judge.acknowledged(id, acknowledgement) }
            return .acknowledged(id, acknowledgement)
        case .answer(let status, _) where (400..<500).contains(status):
            self.state.withLock { $0.judge.refused(id) }
            return .refused(status: status)
        case .answer, .none: break
        }
        self.state.withLock { $0.judge.failed(id) }
        return .unknown
    }

    /// Takes a write back, again and again until it is done, cancelled or not. What one node does not do, another is asked for.
    func undo(
        _ write: Write.ID?,
        node: Int?,
        admin: Int? = nil,
        _ request: OutgoingRequest
    ) async throws -> Undoing {
        if let write { self.state.withLock { $0.judge.undoing(write, at: self.clock.now) } }
        for attempt in 0..<20 {
            let exchange = try await self.send(
                request,
                node: ((node ?? 0) + attempt) % self.options.nodes.count,
                admin: admin.map { ($0 + attempt) % self.options.admins.count }
            )
            switch exchange.outcome {
            case .answer(200, _), .answer(404, _): return attempt == 0 ? .done : .doneAgain
            case .answer, .none: break
            }
            try await self.client.pause(.milliseconds(500))
        }
        return .givenUp
    }

    /// What cannot be taken back is followed no more.
    func closed(_ write: Write.ID) { self.state.withLock { $0.judge.undoing(write, at: self.clock.now) } }

    func probed(_ write: Write.ID) { self.state.withLock { $0.judge.probed(write) } }

    func consented(_ user: OpaqueID) { self.state.withLock { $0.judge.consented(user) } }

    private func send(
        _ request: OutgoingRequest,
        node: Int?,
        admin: Int?,
        mayBeUnknown: Bool = false
    ) async throws -> Exchange {
        let exchange =
            if let admin {
                try await self.admin.send(request, to: admin)
            } else {
                try await self.client.send(request, to: node ?? 0)
            }
        if mayBeUnknown, case .answer(400, _) = exchange.outcome { return exchange }
        self.count(exchange, isWrite: true)
        return exchange
    }

    /// Whether `wait=all` is worth a try.
    var mayWaitForAll: Bool { self.state.withLock { $0.waitsForAll ?? true } }

    func waitsForAll(_ does: Bool) { self.state.withLock { $0.waitsForAll = does } }
}

/// How a write was taken back.
enum Undoing: Sendable {
    case done
    /// One request or more before that had no good answer, and may still be carried out: also after the next write.
    case doneAgain
    case givenUp
}

/// What a run learns of a write.
enum WriteAnswer: Sendable {
    case acknowledged(Write.ID, Acknowledgement)
    /// It did not happen.
    case refused(status: Int)
    case unknown
}
