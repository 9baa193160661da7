package import Caching
import Logging
import Metrics
package import RecommendationCore
import ServiceLifecycle

/// Computes the lists of active users ahead of their requests, on one node of the fleet: by schedule, and where it is asked for.
///
/// It gives way to everybody else: it takes one place among the computations that a node does at once, waits while others take
/// more than a quarter of them, and works a quarter of the time at most. What it computes goes through the caches as any list
/// does, so that every node finds it in L2 and no rule of coherence is another. What it found there or computed is stored besides,
/// for when no list can be computed (``PrecomputedLists``).
package final class WarmingService: Service {
    /// How far back an event makes a user active.
    package static let activeDays: Int64 = 7
    /// Users of one read and one computation.
    private static let batch = 50
    private static let pause = Duration.milliseconds(20)
    /// How often the progress is written.
    private static let interval = Duration.seconds(1)
    /// How often stored lists that are too old are removed, where no warming does it.
    private static let pruning = Duration.seconds(3_600)

    private let context: ServingContext
    private let jobs: any WarmJobRepository
    private let activity: any ActivityRepository
    private let precomputed: any PrecomputedListRepository
    private let leadership: any Leadership
    /// Between two scheduled warmings; nil: there are none.
    private let every: Duration?
    /// Users of one warming at most.
    private let limit: Int
    private let metrics = WarmingMetrics()

    package init(
        _ context: ServingContext,
        jobs: any WarmJobRepository,
        activity: any ActivityRepository,
        precomputed: any PrecomputedListRepository,
        leadership: any Leadership,
        every: Duration?,
        limit: Int
    ) {
        self.context = context
        self.jobs = jobs
        self.activity = activity
        self.precomputed = precomputed
        self.leadership = leadership
        self.every = every
        self.limit = limit
    }

    /// Puts a warming of a surface into the queue.
    package func start(surface: String, tenant: Tenant.ID) async throws(ServingError) -> WarmJob.Number {
        let opening = try await self.context.open(tenant)
        try opening.check(surface: surface)
        return try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.jobs.submit(surface: surface, isScheduled: false, tenant: tenant)
        }
    }

    /// How far a warming has come; nil: there is none of that number.
    package func job(_ number: WarmJob.Number, tenant: Tenant.ID) async throws(ServingError) -> WarmJob? {
        try await AdminService.reading { () async throws(RepositoryError) in
            try await self.jobs.job(number, tenant: tenant)
        }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            // Not at once: a fleet that starts has enough to do.
            var next = self.every.map { ContinuousClock.now + $0 }
            var nextPruning = ContinuousClock.now + Self.pruning
            while !Task.isCancelled {
                if await self.leadership.isLeader() {
                    if let due = next, let every = self.every, ContinuousClock.now >= due {
                        next = ContinuousClock.now + every
                        await self.schedule()
                    }
                    await self.doJobs()
                    if ContinuousClock.now >= nextPruning {
                        nextPruning = ContinuousClock.now + Self.pruning
                        for tenant in self.context.control.tenants { await self.prune(tenant) }
                    }
                }
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// Puts the surfaces of each tenant into the queue.
    private func schedule() async {
        for tenant in self.context.control.tenants {
            guard let state = self.context.control.state(of: tenant), state.model != nil else { continue }
            for surface in state.policy.surfaces {
                do {
                    _ = try await self.jobs.submit(surface: surface, isScheduled: true, tenant: tenant)
                } catch {
                    self.context.log.warning("lists are not warmed", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func prune(_ tenant: Tenant.ID) async {
        let oldest = PrecomputedLists.oldest(at: self.context.wallClock())
        do {
            _ = try await self.precomputed.prune(before: oldest, keeping: self.limit, tenant: tenant)
        } catch {
            self.context.log.warning("old precomputed lists stay", metadata: ["error": "\(error)"])
        }
    }

    /// Who was active, the newest first.
    private struct Active {
        let tenant: Tenant.ID
        let readAt: Timestamp
        let users: [User.ID]
    }

    private func doJobs() async {
        var active: Active?
        do {
            while !Task.isCancelled, await self.leadership.isLeader(), let job = try await self.jobs.next() {
                let begun = ContinuousClock.now
                var progress = WarmJob.Progress()
                var (state, reason) = (WarmJob.State.done, String?.none)
                do {
                    let users = try await self.users(of: job, &active)
                    guard try await self.warm(job, users, &progress) else { return }
                } catch {
                    (state, reason) = (.failed, Self.reason(error))
                }
                try await self.jobs.write(progress, state, reason: reason, of: job.number)
                self.metrics.done(in: .now - begun, failed: state == .failed)
                await self.prune(job.tenant)
                self.context.log.info(
                    "lists warmed",
                    metadata: [
                        "job": "\(WarmJob.name(job.number))", "tenant": "\(job.tenant)", "state": "\(state)",
                        "computed": "\(progress.computed)", "held": "\(progress.held)", "failed": "\(progress.failed)",
                    ]
                )
            }
        } catch {
            // The job is still open, and comes again.
            self.context.log.warning("warmings are not done", metadata: ["error": "\(error)"])
        }
    }

    private enum Failure: Error {
        case store(RepositoryError)
        case serving(ServingError)
    }

    private static func reason(_ error: Failure) -> String {
        switch error {
        case .store: "the store failed"
        case .serving(.unknownSurface): "the policy has no such surface any more"
        case .serving(.notReady): "there is no model"
        case .serving: "lists cannot be served"
        }
    }

    /// The users of a job. Jobs that were asked for together, one of a surface each, go by one reading of who is active.
    private func users(of job: WarmJob, _ active: inout Active?) async throws(Failure) -> [User.ID] {
        if let active, active.tenant == job.tenant, active.readAt.microseconds >= job.createdAt.microseconds {
            return active.users
        }
        let now = self.context.wallClock()
        let since = Timestamp(microseconds: now.microseconds - Self.activeDays * 86_400_000_000)
        do {
            let users = try await self.activity.activeUsers(since: since, limit: self.limit, tenant: job.tenant)
            active = Active(tenant: job.tenant, readAt: now, users: users)
            return users
        } catch {
            throw .store(error)
        }
    }

    /// - Returns: False where it was given up before its end, to be done again by whoever builds next.
    private func warm(
        _ job: WarmJob,
        _ users: [User.ID],
        _ progress: inout WarmJob.Progress
    ) async throws(Failure) -> Bool {
        var rest = users[...]
        progress.total = rest.count
        var written = ContinuousClock.now - Self.interval
        while !rest.isEmpty {
            while self.context.pools.isBusy, !Task.isCancelled { try? await Task.sleep(for: Self.pause) }
            guard !Task.isCancelled, await self.leadership.isLeader() else { return false }
            let begun = ContinuousClock.now
            let users = Array(rest.prefix(Self.batch))
            rest = rest.dropFirst(users.count)
            let lists: [PrecomputedList]
            do {
                lists = try await self.warm(users, job, &progress)
            } catch {
                throw .serving(error)
            }
            do {
                self.metrics.stored.increment(by: try await self.precomputed.store(lists, tenant: job.tenant))
            } catch {
                throw .store(error)
            }
            if ContinuousClock.now - written >= Self.interval {
                written = .now
                do {
                    try await self.jobs.write(progress, .running, reason: nil, of: job.number)
                } catch {
                    throw .store(error)
                }
            }
            let worked = ContinuousClock.now - begun
            try? await Task.sleep(for: worked * 3)
        }
        return true
    }

    /// By the state of the moment: policy and model may change while a job runs.
    ///
    /// - Returns: What these users have of their own.
    private func warm(
        _ users: [User.ID],
        _ job: WarmJob,
        _ progress: inout WarmJob.Progress
    ) async throws(ServingError) -> [PrecomputedList] {
        let opening = try await self.context.open(job.tenant)
        guard opening.state.model != nil else { throw .notReady }
        var asked: [Asked] = []
        for user in users {
            let request = RecommendationRequest(tenant: job.tenant, user: user, surface: job.surface, limit: 1)
            asked.append(try Asked(request, opening))
        }
        let requests = asked.map { asked in
            CacheRequest(place: asked.place, lifetimes: Lifetimes(asked.state.policy), servesStale: false)
        }
        let (pools, wanted) = (self.context.pools, asked)
        let answers = await self.context.cache.entries(for: requests) { indices async throws(PoolFailure) in
            try await pools.compute(indices.map { wanted[$0] })
        }
        var lists: [PrecomputedList] = []
        for (asked, answer) in zip(asked, answers) {
            if case .success(let answer) = answer, let list = Self.list(asked, answer.entry) { lists.append(list) }
            switch answer {
            case .success(let answer) where answer.tier == .computed:
                progress.computed += 1
                self.metrics.computed.increment()
            case .success:
                progress.held += 1
                self.metrics.held.increment()
            case .failure:
                progress.failed += 1
                self.metrics.failed.increment()
            }
        }
        return lists
    }

    /// A list to store; nil: it is not the user's own.
    private static func list(_ asked: Asked, _ entry: CacheEntry) -> PrecomputedList? {
        guard let lineage = asked.state.lineage(surface: asked.request.surface),
            entry.payload.withUnsafeBytes({ PoolView($0)?.isPersonal == true })
        else { return nil }
        return PrecomputedList(
            user: asked.request.user,
            lineage: lineage,
            version: entry.version,
            computedAt: Timestamp(microseconds: entry.computedAt * 1_000),
            pool: entry.payload
        )
    }
}

private struct WarmingMetrics: Sendable {
    let computed = Counter(label: "vireo_warming_users_total", dimensions: [("result", "computed")])
    let held = Counter(label: "vireo_warming_users_total", dimensions: [("result", "held")])
    let failed = Counter(label: "vireo_warming_users_total", dimensions: [("result", "failed")])
    let stored = Counter(label: "vireo_precomputed_lists_stored_total")
    private let times = ["done", "failed"].map {
        Metrics.Timer(label: "vireo_warming_seconds", dimensions: [("result", $0)])
    }

    func done(in duration: Duration, failed: Bool) {
        self.times[failed ? 1 : 0].recordNanoseconds(duration.wholeNanoseconds)
    }
}
