import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// Where the fast lanes of one event loop get their answers: what they share, used by that loop alone.
final class LaneDesk {
    /// What is said to a request.
    enum Reply {
        /// The whole answer.
        case answer(ByteBuffer)
        /// It has to wait: ``LaneDesk/ask(_:deliver:)``.
        case ask(Wanted)
        /// The routes must answer.
        case routes
    }

    /// What a request waits for.
    struct Wanted {
        fileprivate let question: ImmediateQuestion
        fileprivate let explain: Explanation
        /// What is held of the caller's limit.
        fileprivate let limited: LimitedKey?
        fileprivate let start: ContinuousClock.Instant
    }

    /// A pool for a request.
    struct Found {
        fileprivate let wanted: Wanted
        fileprivate let pool: ImmediatePool
    }

    private let immediate: ImmediateUseCases
    private let hasKeys: Bool
    private let rates: RateLimiter?
    private let isStopping: @Sendable () -> Bool
    private let telemetry: RequestTelemetry.Answers
    private let wallClock: @Sendable () -> Timestamp
    private let workspace = ImmediateWorkspace()
    private var body = JSONWriter(capacity: 16 << 10)
    private var head: ResponseHead
    private var madeID = ByteWriter(capacity: RecommendationID.length)
    private let looks: LaneBatches<ImmediateQuestion, ImmediateLook>
    private let computations: LaneBatches<ImmediateQuestion, ImmediatePool?>

    /// - Parameter submit: Has something run elsewhere.
    init(
        _ plan: LanePlan,
        on eventLoop: any EventLoop,
        submit: @escaping (@escaping @Sendable () async -> Void) -> Void
    ) {
        // A few at once: one more batch only where those before it take long.
        self.looks = LaneBatches(on: eventLoop, width: 2, maximum: 64, submit: submit, work: plan.immediate.look)
        self.computations = LaneBatches(
            on: eventLoop,
            width: 2,
            maximum: 16,
            submit: submit,
            work: plan.immediate.compute
        )
        self.immediate = plan.immediate
        self.hasKeys = plan.authentication
        self.rates = plan.rates
        self.isStopping = plan.isStopping
        self.telemetry = plan.telemetry
        self.wallClock = plan.wallClock
        self.head = ResponseHead(serverName: plan.serverName)
    }

    /// Answers a request, or says what it has to wait for.
    func reply(
        to scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        caller: inout LaneCaller,
        allocator: ByteBufferAllocator
    ) -> Reply {
        let start = ContinuousClock.now
        guard !self.isStopping(),
            let query = ImmediateQuery(UnsafeRawBufferPointer(rebasing: bytes[scan.target])),
            let standing = self.immediate.stand(),
            let tenant = self.tenant(scan, bytes, changes: standing.changes, caller: &caller)
        else { return .routes }
        if let limited = caller.limited {
            switch limited.takeNow() {
            case .admitted: break
            case .refused(let time):
                let problem = Problem.rateLimited(limited.limit.limit, after: time)
                return .answer(self.written(problem, scan, bytes, since: start, allocator))
            case .wait: return .routes
            }
        }
        switch self.immediate.recommend(query.request, tenant, standing, self.workspace) {
        case .answer(let answer):
            return .answer(self.written(answer, query.explain, scan, bytes, since: start, allocator))
        case .ask(let question):
            // It is taken when there is an answer here: if there is none, the routes take it.
            caller.limited?.giveBack()
            return self.looks.hasRoom
                ? .ask(Wanted(question: question, explain: query.explain, limited: caller.limited, start: start))
                : .routes
        case .wait:
            caller.limited?.giveBack()
            return .routes
        }
    }

    /// The answer to a request from what was delivered for it; nil where the routes must answer.
    func answer(
        to scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        from found: Found,
        allocator: ByteBufferAllocator
    ) -> ByteBuffer? {
        let wanted = found.wanted
        guard !self.isStopping(), (wanted.limited?.takeNow() ?? .admitted) == .admitted else { return nil }
        guard let answer = self.immediate.answer(wanted.question, found.pool, self.workspace) else {
            wanted.limited?.giveBack()
            return nil
        }
        return self.written(answer, wanted.explain, scan, bytes, since: wanted.start, allocator)
    }

    /// Has something looked for, and computed where it is nowhere.
    ///
    /// - Parameter deliver: Called later, on the event loop, with nothing where the routes must answer; not at all if what is
    ///   waited for is never done.
    func ask(_ wanted: Wanted, deliver: @escaping (Found?) -> Void) {
        self.looks.ask(wanted.question) { look in
            switch look {
            case .found(let pool): deliver(Found(wanted: wanted, pool: pool))
            case .missing where !self.computations.hasRoom: deliver(nil)
            case .missing:
                self.computations.ask(wanted.question) { pool in
                    deliver(pool.map { Found(wanted: wanted, pool: $0) })
                }
            case .wait: deliver(nil)
            }
        }
    }

    private func written(
        _ answer: ImmediateAnswer,
        _ explain: Explanation,
        _ scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        since start: ContinuousClock.Instant,
        _ allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        self.body.removeAll()
        self.body.document(answer, self.workspace.slate.places, explain: explain)
        let body = self.body.bytes
        let requestID = self.requestID(scan, bytes)
        self.head.write(answer.recommendation, requestID: requestID, length: body.count)
        let head = self.head.bytes
        var buffer = allocator.buffer(capacity: head.count + body.count)
        buffer.writeBytes(head)
        if scan.method == .get { buffer.writeBytes(body) }
        self.telemetry.answered(
            isHead: scan.method == .head,
            requestID: requestID,
            duration: ContinuousClock.now - start
        )
        return buffer
    }

    /// What the routes would answer to one that its limit keeps out.
    private func written(
        _ problem: Problem,
        _ scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        since start: ContinuousClock.Instant,
        _ allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        let requestID = self.requestID(scan, bytes)
        let path = bytes[scan.target].prefix { $0 != UInt8(ascii: "?") }
        let body = problem.document(
            instance: Responder.instance(path),
            requestID: String(decoding: requestID, as: UTF8.self)
        )
        self.head.write(problem, requestID: requestID, length: body.readableBytes, at: self.wallClock())
        let head = self.head.bytes
        var buffer = allocator.buffer(capacity: head.count + body.readableBytes)
        buffer.writeBytes(head)
        if scan.method == .get { buffer.writeImmutableBuffer(body) }
        self.telemetry.refused(
            isHead: scan.method == .head,
            requestID: requestID,
            duration: ContinuousClock.now - start
        )
        return buffer
    }

    private func tenant(
        _ scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        changes: UInt64,
        caller: inout LaneCaller
    ) -> Tenant.ID? {
        guard self.hasKeys else { return Principal.everyone.tenant }
        guard let range = scan.authorization else { return nil }
        return caller.tenant(
            UnsafeRawBufferPointer(rebasing: bytes[range]),
            changes: changes,
            look: self.immediate.principal,
            limited: { self.rates?.key($0) }
        )
    }

    /// The caller's id where it may be echoed, otherwise a new one; valid until the next call.
    private func requestID(_ scan: RequestScan, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if let range = scan.requestID, RequestIdentity.mayBeEchoed(bytes[range]) {
            return UnsafeRawBufferPointer(rebasing: bytes[range])
        }
        let id = self.workspace.newID(at: self.wallClock())
        self.madeID.removeAll()
        self.madeID.append(RecommendationID.length) { id.write(to: $0) }
        return self.madeID.bytes
    }
}

/// What the desks of a port are made of.
struct LanePlan: Sendable {
    let immediate: ImmediateUseCases
    let authentication: Bool
    let rates: RateLimiter?
    let isStopping: @Sendable () -> Bool
    let telemetry: RequestTelemetry.Answers
    let serverName: String?
    let wallClock: @Sendable () -> Timestamp
}
