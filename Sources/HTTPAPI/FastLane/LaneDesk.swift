import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// Where the fast lanes of one event loop get their answers: what they share, used by that loop alone.
final class LaneDesk {
    private let immediate: ImmediateUseCases
    private let hasKeys: Bool
    private let isStopping: @Sendable () -> Bool
    private let telemetry: RequestTelemetry.Answers
    private let wallClock: @Sendable () -> Timestamp
    private let workspace = ImmediateWorkspace()
    private var body = JSONWriter(capacity: 16 << 10)
    private var head: ResponseHead
    private var madeID = ByteWriter(capacity: RecommendationID.length)

    init(_ plan: LanePlan) {
        self.immediate = plan.immediate
        self.hasKeys = plan.authentication
        self.isStopping = plan.isStopping
        self.telemetry = plan.telemetry
        self.wallClock = plan.wallClock
        self.head = ResponseHead(serverName: plan.serverName)
    }

    /// The whole answer to a request; nil where the routes must answer.
    func answer(
        _ scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        caller: inout LaneCaller,
        allocator: ByteBufferAllocator
    ) -> ByteBuffer? {
        let start = ContinuousClock.now
        guard !self.isStopping(),
            let query = ImmediateQuery(UnsafeRawBufferPointer(rebasing: bytes[scan.target])),
            let standing = self.immediate.stand(),
            let tenant = self.tenant(scan, bytes, changes: standing.changes, caller: &caller),
            let answer = self.immediate.recommend(query.request, tenant, standing, self.workspace)
        else { return nil }
        self.body.removeAll()
        self.body.document(answer, self.workspace.slate.places, explain: query.explain)
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
            look: self.immediate.principal
        )
    }

    /// The caller's id where it may be echoed, otherwise a new one; valid until the next call.
    private func requestID(_ scan: RequestScan, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if let range = scan.requestID, RequestIdentity.mayBeEchoed(bytes[range]) {
            return UnsafeRawBufferPointer(rebasing: bytes[range])
        }
        let id = RecommendationID(
            milliseconds: self.wallClock().milliseconds,
            using: &self.workspace.generator
        )
        self.madeID.removeAll()
        self.madeID.append(RecommendationID.length) { id.write(to: $0) }
        return self.madeID.bytes
    }
}

/// What the desks of a port are made of.
struct LanePlan: Sendable {
    let immediate: ImmediateUseCases
    let authentication: Bool
    let isStopping: @Sendable () -> Bool
    let telemetry: RequestTelemetry.Answers
    let serverName: String?
    let wallClock: @Sendable () -> Timestamp
}
