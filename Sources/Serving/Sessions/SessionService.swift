import Caching
import Logging
import Metrics
package import RecommendationCore

/// Answers "what should be shown next in this session?": by the events that the request brings, those kept of the session, and
/// the history of a user who is named and allows it.
///
/// A session's list is computed for each request, of what the stores hold then, and cached nowhere: nothing of it can be older
/// than a write. Pool and final stage are those of users' own lists.
package final class SessionService: Sendable {
    private let context: ServingContext
    private let sessions: any SessionRepository
    private let interactions: any InteractionRepository
    private let metrics = SessionMetrics()

    package init(
        _ context: ServingContext,
        sessions: any SessionRepository,
        interactions: any InteractionRepository
    ) {
        self.context = context
        self.sessions = sessions
        self.interactions = interactions
    }

    package func recommend(_ request: SessionRequest) async throws(ServingError) -> Recommendation {
        let opening = try await self.context.open(request.recommendation.tenant)
        let asked = try Asked(request.recommendation, opening)
        let kept = await self.kept(request)
        let looked = ContinuousClock.now
        let computed: Result<Computed, PoolFailure>
        do {
            let computation = try await self.context.timed(by: StageBudget.current?.pool) {
                () async throws(PoolFailure) in
                try await self.compute(asked, request, kept ?? [])
            }
            computed = .success(computation)
        } catch {
            computed = .failure(error)
        }
        var answer: Recommendation
        switch computed {
        case .success(let computed):
            guard computed.pool.version >= request.recommendation.minimumVersion else { throw .versionUnknown }
            let begun = ContinuousClock.now
            guard let made = await self.context.made(asked, of: computed.pool) else { throw .failed("a pool is none") }
            answer = made
            if computed.isUnverified { answer.degraded.note(.postgres) }
            answer.stages = [
                asked.opening.control,
                Recommendation.Stage(name: "cache", duration: looked - opening.controlled),
                Recommendation.Stage(name: "compute", duration: begun - looked),
                Recommendation.Stage(name: "final", duration: ContinuousClock.now - begun),
            ]
            self.context.metrics.served(answer)
            self.context.record(answer, as: .session, asked)
        case .failure(let cause):
            answer = try await self.context.answer(
                Asked(self.withoutEvents(request, kept ?? [], asked), checked: opening),
                from: .failure(cause),
                since: opening.controlled,
                hasLooked: false,
                as: .session,
                filters: request.recommendation.filters
            )
        }
        if kept == nil { answer.degraded.note(.redis) }
        return answer
    }

    /// The request where its events cannot be counted: what somebody has had or rejected in the session is left out by name.
    private func withoutEvents(
        _ request: SessionRequest,
        _ kept: [SessionEvent],
        _ asked: Asked
    ) -> RecommendationRequest {
        let excludesSeen = request.recommendation.filters.excludesSeen ?? asked.state.policy.seenFilter
        let events = request.events.map { ($0.item, $0.type) } + kept.map { ($0.item, $0.type) }
        var recommendation = request.recommendation
        for (item, type) in events where [.hide, .dislike].contains(type) || excludesSeen && type != .view {
            recommendation.filters.excludedItems.append(item)
        }
        return recommendation
    }

    /// What is kept of the session; nil: that cannot be known.
    private func kept(_ request: SessionRequest) async -> [SessionEvent]? {
        guard let session = request.session else { return [] }
        do {
            let tenant = request.recommendation.tenant
            let events = try await self.context.clock.value(
                by: StageBudget.current?.pool,
                orThrow: RepositoryError.late
            ) { () async throws(RepositoryError) in
                try await self.sessions.events(of: session, tenant: tenant)
            }
            (events.isEmpty ? self.metrics.empty : self.metrics.found).increment()
            return events
        } catch {
            self.metrics.unreachable.increment()
            self.context.log.debug("a session cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private struct Computed: Sendable {
        let pool: Computation
        /// Whether the store could not say which kept events still count, and none did.
        let isUnverified: Bool
    }

    private struct Read {
        let user: UserState
        let isUnverified: Bool
    }

    private func compute(
        _ asked: Asked,
        _ request: SessionRequest,
        _ kept: [SessionEvent]
    ) async throws(PoolFailure) -> Computed {
        guard let model = asked.state.model else { throw .noModel }
        let pools = self.context.pools
        return try await pools.run { users async throws(RepositoryError) in
            try await self.read(asked, request, kept, users)
        } compute: { read in
            Computed(
                pool: pools.computation(read.user, asked, model) { asked.excluded(in: model) },
                isUnverified: read.isUnverified
            )
        }
    }

    /// The user as the session knows them: its events are their history, after their own where they allow it.
    private func read(
        _ asked: Asked,
        _ request: SessionRequest,
        _ kept: [SessionEvent],
        _ users: any UserRepository
    ) async throws(RepositoryError) -> Read {
        let tenant = asked.state.tenant
        var user = UserState.unknown
        if let named = request.recommendation.named { user = try await users.state(of: named, tenant: tenant) }
        let now = asked.opening.now
        let times = kept.map(\.occurredAt) + request.events.map { $0.occurredAt ?? now }
        let history = SessionHistory(
            user.consent ? user.history : [],
            since: times.min(),
            catalog: asked.state.catalog
        )
        let unknown = history.unknown(of: kept)
        var counted: [SessionEvent] = []
        var isUnverified = false
        do throws(RepositoryError) {
            let holds = try await self.interactions.holds(unknown, tenant: tenant)
            counted = zip(unknown, holds).filter(\.1).map(\.0)
        } catch {
            // The named user could be read, or nobody is named: the session goes on with what is known.
            self.context.log.debug("events of a session cannot be looked up", metadata: ["error": "\(error)"])
            isUnverified = true
        }
        return Read(
            user: UserState(
                version: user.version,
                // What happens in the session is not the history that consent is about.
                consent: true,
                history: history.merged(request.events, kept: kept, counted: counted, now: now),
                suppressions: user.suppressions,
                labels: user.labels
            ),
            isUnverified: isUnverified
        )
    }
}

private struct SessionMetrics: Sendable {
    let found = Counter(label: "vireo_session_reads_total", dimensions: [("result", "found")])
    let empty = Counter(label: "vireo_session_reads_total", dimensions: [("result", "none")])
    let unreachable = Counter(label: "vireo_session_reads_total", dimensions: [("result", "unreachable")])
}
