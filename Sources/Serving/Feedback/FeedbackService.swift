package import Caching
package import Logging
import Metrics
package import RecommendationCore

/// Takes events: validated, stored once, and only then made known (coherence, section 1).
package final class FeedbackService: Sendable {
    private let repository: any FeedbackRepository
    private let sessions: any SessionRepository
    private let invalidator: Invalidator
    private let control: ControlState
    private let signer: TokenSigner
    private let quality: QualityMetrics
    private let caps: FrequencyCapService?
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp
    private let redisTime: @Sendable () -> Int64
    /// How long an answer waits for the relay where this node cannot reach Redis.
    private let propagationLimit: Duration
    private let faults: SeededFaults
    private let metrics = FeedbackMetrics()

    /// How long after its begin a write may still add to sessions, in milliseconds: what an erasure waits for.
    package static let sessionWindow: Int64 = 5_000

    /// - Parameter redisTime: Milliseconds of Redis time.
    package init(
        repository: any FeedbackRepository,
        sessions: any SessionRepository,
        invalidator: Invalidator,
        control: ControlState,
        signer: TokenSigner,
        quality: QualityMetrics,
        caps: FrequencyCapService? = nil,
        log: Logger,
        propagationLimit: Duration = .milliseconds(800),
        faults: SeededFaults = SeededFaults(),
        wallClock: @escaping @Sendable () -> Timestamp,
        redisTime: @escaping @Sendable () -> Int64
    ) {
        self.repository = repository
        self.sessions = sessions
        self.invalidator = invalidator
        self.control = control
        self.signer = signer
        self.quality = quality
        self.caps = caps
        self.log = log
        self.propagationLimit = propagationLimit
        self.faults = faults
        self.wallClock = wallClock
        self.redisTime = redisTime
    }

    /// Stores events of one tenant; those that are wrong are rejected one by one, the others are stored.
    package func record(_ requests: [FeedbackRequest], tenant: Tenant.ID) async throws(ServingError) -> FeedbackAnswer {
        var rejected: [FeedbackRejection] = []
        var events: [Feedback] = []
        var indices: [Int] = []
        for (index, request) in requests.enumerated() {
            do {
                events.append(try self.event(request, index: index, tenant: tenant))
                indices.append(index)
            } catch {
                rejected.append(error.rejection)
            }
        }
        var answer = FeedbackAnswer(accepted: 0, duplicates: 0, rejected: rejected, userVersions: [], propagated: true)
        guard !events.isEmpty else {
            self.metrics.rejected.increment(by: rejected.count)
            return answer
        }
        let invalidating = self.control.state(of: tenant)?.invalidatingEvents ?? Policy.builtIn.invalidatingEvents
        let sessionEnd = self.redisTime() + Self.sessionWindow
        let recorded: RecordedFeedback
        do {
            recorded = try await self.repository.record(events, tenant: tenant, invalidating: invalidating)
        } catch {
            self.metrics.notDurable.increment()
            self.log.warning("feedback not stored", metadata: ["error": "\(error)"])
            switch error {
            case .unavailable, .outcomeUnknown: throw .notDurable
            case .conflict(let reason): throw .conflict(reason)
            case .corrupt, .failed: throw .failed("feedback not stored")
            }
        }
        var versions: [User.ID: User.Version] = [:]
        var order: [User.ID] = []
        var invalidated: [User.ID: User.Version] = [:]
        var sessions: [Session.ID: [SessionEvent]] = [:]
        var shown: [User.ID: [ShownItem]] = [:]
        let catalog = self.control.state(of: tenant)?.catalog
        for (place, outcome) in recorded.outcomes.enumerated() {
            let event = events[place]
            if outcome.version != nil, let session = requests[indices[place]].session {
                sessions[session, default: []].append(SessionEvent(event))
            }
            // Who did something with an item of an answer has seen it there; of whom is erased nothing is noted.
            if outcome.version != nil, let attribution = event.attribution,
                let number = catalog?.number(of: event.item)
            {
                shown[event.user, default: []].append(ShownItem(number, attribution))
            }
            switch outcome {
            case .stored(let version):
                answer.accepted += 1
                self.metrics.stored(event.type)
                if let source = event.answered?.source { self.quality.done(event.type, source) }
                if invalidating.contains(event.type) { invalidated[event.user] = version }
                if versions.updateValue(version, forKey: event.user) == nil { order.append(event.user) }
            case .duplicate(let version):
                answer.duplicates += 1
                self.metrics.duplicates.increment()
                // The node that stored it may have died before it could say so: the same steps again.
                let isForgotten = self.faults.has(.duplicateForgotten)
                if invalidating.contains(event.type), !isForgotten { invalidated[event.user] = version }
                if versions.updateValue(version, forKey: event.user) == nil { order.append(event.user) }
            case .erased: self.metrics.erased.increment()
            case .outlived: answer.rejected.append(TokenRefusal.outlived.rejection(indices[place]))
            case .unknownItem:
                answer.rejected.append(
                    FeedbackRejection(index: indices[place], code: "unknown_item", field: "item_id", allowed: nil)
                )
            }
        }
        answer.rejected.sort { $0.index < $1.index }
        self.metrics.rejected.increment(by: answer.rejected.count)
        answer.userVersions = order.map { ($0, versions[$0]!) }
        let incarnation = self.control.incarnation
        let known = shown
        async let isKept: Void = self.keep(sessions, tenant, until: sessionEnd)
        async let isCounted = self.caps?.confirm(known, tenant: tenant)
        answer.propagated = await self.invalidator.propagate(
            invalidated.map { user, version in
                Invalidation(
                    key: CacheKey(namespace: incarnation, owner: tenant.string, member: user.string),
                    version: version
                )
            },
            transaction: recorded.transaction,
            within: self.propagationLimit
        )
        // Before the answer: who asks for the session after it finds the event there.
        await isKept
        _ = await isCounted
        return answer
    }

    /// Keeps events in their sessions. It is no part of the write: where Redis does not take them, they are in the history alone.
    private func keep(_ events: [Session.ID: [SessionEvent]], _ tenant: Tenant.ID, until end: Int64) async {
        guard !events.isEmpty else { return }
        let count = events.values.reduce(0) { $0 + $1.count }
        do {
            try await self.sessions.append(events, tenant: tenant, until: end)
            self.metrics.kept.increment(by: count)
        } catch {
            self.metrics.lost.increment(by: count)
            self.log.debug("events not kept in their sessions", metadata: ["error": "\(error)"])
        }
    }

    private struct Rejected: Error {
        let rejection: FeedbackRejection
    }

    private func event(
        _ request: FeedbackRequest,
        index: Int,
        tenant: Tenant.ID
    ) throws(Rejected) -> Feedback {
        func rejected(_ code: String, _ field: String, _ allowed: String?) -> Rejected {
            Rejected(rejection: FeedbackRejection(index: index, code: code, field: field, allowed: allowed))
        }
        let content: EventContent
        do {
            content = try EventContent(
                type: request.type,
                value: request.value,
                occurredAt: request.occurredAt,
                now: self.wallClock()
            )
        } catch {
            throw rejected(error.code, error.field, error.allowed)
        }
        var attribution: Attribution?
        if let text = request.trackingToken {
            do throws(TokenRefusal) {
                let token = try self.signer.verify(text, tenant: tenant, user: request.user)
                guard self.control.state(of: tenant)?.isPossible(token, of: request.item) ?? true else {
                    throw .invalid
                }
                attribution = Attribution(token)
            } catch {
                throw Rejected(rejection: error.rejection(index))
            }
        }
        return Feedback(
            eventID: request.eventID,
            user: request.user,
            item: request.item,
            type: content.type,
            value: content.value,
            occurredAt: content.occurredAt,
            attribution: attribution,
            queuedAt: request.queuedAt
        )
    }
}

extension TokenRefusal {
    /// Of the event, or the impression, at a place in its call.
    func rejection(_ index: Int) -> FeedbackRejection {
        FeedbackRejection(index: index, code: self.code, field: "tracking_token", allowed: self.allowed)
    }
}

extension Attribution {
    init(_ token: TrackingToken) {
        let origin = token.origin
        var source: Source?
        if let surface = origin.surface, let policy = origin.policy, let variant = origin.variant {
            source = Source(model: origin.model, policy: policy, variant: variant, surface: surface)
        }
        self.init(recommendationID: token.recommendationID.bytes, position: token.rank, source: source)
    }
}

extension TenantState {
    /// Whether a token may be of an item: what the catalogue of this node does not know the store decides.
    func isPossible(_ token: TrackingToken, of item: Item.ID) -> Bool {
        self.catalog.number(of: item).map { $0 == token.item } ?? true
    }
}

extension SessionEvent {
    init(_ event: Feedback) {
        self.init(
            user: event.user,
            item: event.item,
            type: event.type,
            value: event.value,
            occurredAt: event.occurredAt
        )
    }
}

private struct FeedbackMetrics: Sendable {
    let duplicates = Counter(label: "vireo_feedback_total", dimensions: [("result", "duplicate")])
    let rejected = Counter(label: "vireo_feedback_total", dimensions: [("result", "rejected")])
    let erased = Counter(label: "vireo_feedback_total", dimensions: [("result", "erased")])
    let kept = Counter(label: "vireo_session_events_total", dimensions: [("result", "kept")])
    let lost = Counter(label: "vireo_session_events_total", dimensions: [("result", "lost")])
    let notDurable = Counter(label: "vireo_feedback_total", dimensions: [("result", "not_durable")])
    private let accepted = Counter(label: "vireo_feedback_total", dimensions: [("result", "accepted")])
    private let byType: [EventType: Counter] = Dictionary(
        uniqueKeysWithValues: EventType.allCases.map {
            ($0, Counter(label: "vireo_feedback_events_total", dimensions: [("type", $0.rawValue)]))
        }
    )

    func stored(_ type: EventType) {
        self.accepted.increment()
        self.byType[type]?.increment()
    }
}
