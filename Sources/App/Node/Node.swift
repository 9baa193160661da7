import Caching
import HTTPAPI
package import Logging
import NIOCore
package import Observability
import Postgres
import PostgresAdapters
import RecommendationCore
import Redis
import RedisAdapters
import ServiceLifecycle
import Serving
import Training
import UnixSignals

/// One stateless node: everything wired, in the order of start; services stop in reverse.
package struct Node: Sendable {
    package static let version = "0.1.0"

    private let services: [any Service]
    private let log: Logger

    /// - Throws: ``SettingsError`` where a setting that a node needs is missing.
    package init(settings: Settings, registry: PrometheusRegistry, log: Logger) throws(SettingsError) {
        guard let postgresConfiguration = settings.postgres else { throw .missing(.postgresURL) }
        guard let redisConfiguration = settings.redis else { throw .missing(.redisURL) }
        guard let signingKeys = settings.signingKeys else { throw .missing(.signingKey) }
        self.log = log

        let postgres = PostgresClient(configuration: postgresConfiguration, logger: log)
        let store = PostgresStore(client: postgres)
        let replica = settings.postgresReplica.map {
            PostgresReplica(client: PostgresClient(configuration: $0, logger: log), log: log)
        }
        // A request may wait for others' reads, for its history, and for what a fallback is to leave out.
        let reads = ServingReads(client: postgres, patience: settings.http.limits.deadline / 4)
        let users = PostgresUserRepository(store: store, reads: reads, replica: replica)
        let controlRepository = PostgresControlRepository(store: store)
        let models = PostgresModelRepository(store: store)
        let nodes = PostgresNodeRepository(store: store)
        let data = PostgresTrainingData(store: store)

        // The keeper hears of the connections, and is made after them.
        let keeperBox = KeeperBox()
        let isCluster = !redisConfiguration.cluster.isEmpty
        let namespace = RedisNamespace(node: settings.nodeID, isDivided: isCluster)
        let deployment = RedisDeployment(redisConfiguration, pinned: RedisNamespace.busChannel, log: log) { event in
            switch event {
            case .connected: keeperBox.keeper?.sharedConnectionChanged(isConnected: true)
            case .disconnected, .connectFailed: keeperBox.keeper?.sharedConnectionChanged(isConnected: false)
            }
        }
        let redis = deployment.commands
        let subscription = RedisSubscription(
            configuration: redisConfiguration,
            primary: deployment.primary,
            channels: [RedisNamespace.busChannel, namespace.heartbeatChannel],
            isSharded: isCluster,
            logger: log
        ) { session, _ in keeperBox.keeper?.subscriptionLost(session: session) }
        let shared = RedisSharedCache(client: redis, namespace: namespace, faults: settings.coherence.faults)
        let bus = RedisInvalidationBus(client: redis, subscription: subscription, namespace: namespace, log: log)

        let snapshots: any SnapshotSource =
            if let path = settings.models.directory {
                CachedSnapshots(models, directory: SnapshotDirectory(path: path), log: log)
            } else {
                StoredSnapshots(models)
            }
        let tokens = TokenForm()
        let control = ControlState(
            repository: controlRepository,
            models: snapshots,
            policies: .json,
            log: log,
            wallClock: WallClock.now,
            faults: settings.coherence.faults,
            tokens: tokens,
            incarnationChanged: { incarnation in
                namespace.adopt(incarnation: incarnation)
                store.forget()
                // Nothing stamped under the old incarnation is believed, and L2 is another place now.
                keeperBox.keeper?.incarnationChanged()
            }
        )
        let journal = PostgresJournal(store: store) { control.incarnation }
        let keeper = CoherenceKeeper(
            settings: settings.coherence,
            bus: bus,
            control: control,
            journal: journal,
            tail: journal,
            log: log,
            isAdmitted: false,
            wallClock: { WallClock.now().milliseconds }
        )
        keeperBox.fill(keeper)
        let cache = TieredCache(
            keeper: keeper,
            shared: shared,
            versions: PostgresVersionSource(store: store, reads: reads) { control.incarnation },
            settings: settings.coherence,
            log: log
        )
        let seal = NodeSeal(signingKeys, wallClock: WallClock.now)
        let denials = NodeDenials(control: control, repository: controlRepository)
        let logHash = LogHash(signingKeys)
        let selfCheck = settings.selfCheck.map { interval in
            SelfCheck(
                interval: interval,
                node: settings.nodeID,
                keeper: keeper,
                peers: FleetClient(nodes: nodes, seal: seal),
                denials: denials,
                keyHash: { logHash.text(of: $0) },
                log: log,
                wallClock: { WallClock.now().milliseconds }
            )
        }
        let invalidator = Invalidator(keeper: keeper, shared: shared, bus: bus, selfCheck: selfCheck)
        let fleetWait = FleetWait(settings: settings.coherence, confirmations: nodes, log: log)
        let signer = TokenSigner(signingKeys, form: tokens)

        // A replica is asked for one user at a time, each with the version it has to have.
        let batchedUsers = replica == nil ? BatchedUserRepository(users) : nil
        // A row by its key is there in far less, or is not worth waiting for: nothing else has come of the request's time.
        let precomputedLists = PostgresPrecomputedListRepository(
            store: store,
            reads: ServingReads(client: postgres, patience: settings.http.limits.deadline / 8)
        )
        let precomputed = PrecomputedLists(precomputedLists, latest: settings.http.limits.deadline / 2, log: log)
        let storedImpressions = PostgresImpressionRepository(
            store: store,
            reads: ServingReads(client: postgres, patience: settings.http.limits.deadline / 8),
            hashes: { logHash.erasures(of: $0, tenant: $1) }
        )
        let stageClock = StageClock()
        let caps = FrequencyCapService(
            counters: RedisFrequencyCounters(client: redis, namespace: namespace),
            impressions: storedImpressions,
            control: control,
            clock: stageClock,
            log: log
        )
        let storedDecisions = PostgresDecisionRepository(store: store) { logHash.erasures(of: $0, tenant: $1) }
        let decisionLog = DecisionLog(repository: storedDecisions, codec: .json, log: log)
        let serving = ServingContext(
            cache: cache,
            keeper: keeper,
            control: control,
            users: batchedUsers ?? users,
            precomputed: precomputed,
            signer: signer,
            caps: caps,
            decisions: decisionLog,
            clock: stageClock,
            limit: ComputeLimit(settings.computeLimit),
            log: log,
            wallClock: WallClock.now
        )
        let recommendations = RecommendationService(serving)
        let lists = ListService(serving)
        let sessionEvents = RedisSessionRepository(
            client: redis,
            namespace: namespace,
            timeToLive: settings.sessionTimeToLive
        )
        let sessions = SessionService(
            serving,
            sessions: sessionEvents,
            interactions: PostgresInteractionRepository(store: store)
        )
        let quality = QualityMetrics()
        let feedback = FeedbackService(
            repository: PostgresFeedbackRepository(store: store) { logHash.erasures(of: $0, tenant: $1) },
            sessions: sessionEvents,
            invalidator: invalidator,
            control: control,
            signer: signer,
            quality: quality,
            caps: caps,
            log: log,
            faults: settings.coherence.faults,
            wallClock: WallClock.now,
            redisTime: { keeper.milliseconds() }
        )
        let impressions = ImpressionService(
            repository: storedImpressions,
            control: control,
            signer: signer,
            quality: quality,
            caps: caps,
            log: log,
            wallClock: WallClock.now
        )
        let admin = AdminService(
            control: controlRepository,
            users: users,
            state: control,
            invalidator: invalidator,
            selfCheck: selfCheck
        )
        let items = CatalogueService(
            items: PostgresItemRepository(store: store),
            invalidator: invalidator,
            selfCheck: selfCheck
        )
        let profiles = ProfileService(
            profiles: PostgresProfileRepository(store: store),
            state: control,
            invalidator: invalidator,
            caps: caps,
            dropEntries: { try await shared.dropEntries(of: $0) }
        )
        let policies = PolicyService(
            repository: PostgresPolicyRepository(store: store),
            codec: .json,
            invalidator: invalidator
        )
        let warmPlaces = RedisWarmPlaces(client: redis, namespace: namespace)
        let warmUp = WarmUp(
            cache: cache,
            store: warmPlaces,
            log: log,
            isPrepared: { control.appliedID != nil && control.hasModels }
        )
        let status = NodeStatusReporter(
            nodeID: settings.nodeID,
            control: control,
            keeper: keeper,
            nodes: nodes,
            redis: redis,
            adminAddress: settings.adminAddress,
            isWarm: { warmUp.isDone },
            log: log
        )
        let rates = RateLimiter(
            tokens: RedisRateTokens(client: redis, namespace: namespace),
            nodes: { status.liveNodes },
            log: log
        )
        let jobs = PostgresModelJobRepository(store: store)
        let buildLock = AdvisoryLock(store: store, job: .build, log: log)
        let warmJobs = PostgresWarmJobRepository(store: store)
        let warming = WarmingService(
            serving,
            jobs: warmJobs,
            activity: warmJobs,
            precomputed: precomputedLists,
            leadership: buildLock,
            every: settings.warming.every,
            limit: settings.warming.users
        )
        let relayLock = AdvisoryLock(store: store, job: .relay, log: log)
        let erasures = ErasureService(
            erasures: PostgresErasureRepository(store: store),
            traces: RedisUserTraces(
                client: redis,
                namespace: namespace,
                sessions: sessionEvents,
                places: warmPlaces,
                isNamed: { FeedbackMessage.isNamed($0, in: $1) }
            ),
            state: control,
            keeper: keeper,
            invalidator: invalidator,
            selfCheck: selfCheck,
            hash: logHash,
            leadership: relayLock,
            lease: settings.coherence.lease,
            log: log
        )
        let rollout = ModelRollout(
            models: models,
            routes: models,
            nodes: nodes,
            comparison: settings.models.comparison,
            log: log,
            wallClock: WallClock.now,
            announce: { _ = await invalidator.announceControl() }
        )
        let experimentRepository = PostgresExperimentRepository(store: store)
        let experiments = ExperimentService(
            repository: experimentRepository,
            policies: policies,
            control: control,
            invalidator: invalidator
        )
        var useCases = UseCases(
            recommend: { request async throws(ServingError) in try await recommendations.recommend(request) },
            lists: ListUseCases(
                recommendMany: { requests, tenant async throws(ServingError) in
                    try await recommendations.recommend(requests, tenant: tenant)
                },
                explain: { item, request async throws(ServingError) in
                    try await recommendations.explain(item, to: request)
                },
                similar: { request async throws(ServingError) in try await lists.similar(request) },
                list: { request async throws(ServingError) in try await lists.list(request) },
                session: { request async throws(ServingError) in try await sessions.recommend(request) }
            ),
            recordFeedback: { events, tenant async throws(ServingError) in
                try await feedback.record(events, tenant: tenant)
            },
            recordImpressions: { request, tenant async throws(ServingError) in
                try await impressions.record(request, tenant: tenant)
            },
            addTombstones: { tombstones, reason, expiresAt, tenant async throws(ServingError) in
                try await admin.addTombstones(tombstones, reason: reason, expiresAt: expiresAt, tenant: tenant)
            },
            removeTombstones: { tombstones, tenant async throws(ServingError) in
                try await admin.removeTombstones(tombstones, tenant: tenant)
            },
            listTombstones: { kind, cursor, limit, tenant async throws(ServingError) in
                try await admin.tombstones(kind: kind, cursor: cursor, limit: limit, tenant: tenant)
            },
            purge: { scope, dryRun, tenant async throws(ServingError) in
                try await admin.purge(scope, dryRun: dryRun, tenant: tenant)
            },
            catalogue: CatalogueUseCases(
                items: items,
                profiles: profiles,
                inspector: CacheInspector(keeper: keeper, shared: shared, state: control)
            ),
            erasures: ErasureUseCases(erasures),
            models: ModelUseCases(
                models: models,
                rollout: rollout,
                jobs: jobs,
                announce: { epoch in await invalidator.announce(epoch: epoch) }
            ),
            warming: WarmingUseCases(warming),
            nodes: { () async throws(ServingError) in
                try await AdminService.reading { () async throws(RepositoryError) in try await nodes.nodes() }
            },
            epoch: { epoch, tenant async throws(ServingError) in
                try await AdminService.reading { () async throws(RepositoryError) in
                    try await nodes.progress(of: epoch, tenant: tenant)
                }
            },
            everywhere: { change in await fleetWait.wait(for: change.epoch, publishedAt: change.publishedAt) },
            policies: PolicyUseCases(
                policies,
                PolicyTrialService(serving, policies: policies, activity: warmJobs)
            ),
            experiments: ExperimentUseCases(experiments),
            authenticate: { key async throws(ServingError) in
                // A revocation is as critical as a tombstone: without a lease, keys are read before they are believed.
                _ = await keeper.controlStanding()
                guard control.appliedID != nil else { throw .notReady }
                return control.principal(for: key)
            },
            readiness: { status.readiness() },
            isStopping: { status.isStopping },
            metrics: {
                status.record()
                return registry.render()
            }
        )
        let reports = QualityService(
            repository: PostgresQualityRepository(store: store),
            control: control,
            wallClock: WallClock.now
        )
        useCases.quality = { window, surface, tenant async throws(ServingError) in
            try await reports.report(window, surface: surface, tenant: tenant)
        }
        let decisions = DecisionService(repository: storedDecisions, codec: .json)
        useCases.decision = { id, tenant async throws(ServingError) in
            try await decisions.decision(id, tenant: tenant)
        }
        useCases.selfCheck = SelfCheckUseCases(
            selfCheck,
            node: settings.nodeID,
            keeper: keeper,
            denials: denials,
            seal: seal
        )
        useCases.rates = rates
        useCases.immediate = ImmediateUseCases(
            stand: { recommendations.standNow() },
            principal: { control.principal(for: $0) },
            recommend: { request, tenant, standing, workspace in
                recommendations.recommendNow(request, tenant: tenant, standing: standing, in: workspace)
            },
            look: { await recommendations.look($0) },
            compute: { await recommendations.compute($0) },
            answer: { recommendations.answer($0, from: $1, in: $2) }
        )
        let calls = CallLimits(settings.http.limits.calls)
        let publicServer = HTTPServer(
            .public,
            configuration: settings.http,
            useCases: useCases,
            calls: calls,
            log: log,
            wallClock: WallClock.now,
            onBound: { status.bound(http: $0, host: settings.http.host) }
        )
        let trainer = ModelTrainer(
            data: data,
            models: models,
            kept: settings.models.kept,
            threads: System.coreCount,
            log: log,
            wallClock: WallClock.now
        )
        self.services =
            [
                postgres
            ] + ([replica?.client, batchedUsers, precomputed, selfCheck] as [(any Service)?]).compactMap(\.self)
            + deployment.services + [
                subscription,
                keeper,
                cache,
                warmUp,
                fleetWait,
                rates,
                stageClock,
                relayLock,
                Relay(
                    settings: settings.coherence,
                    leadership: relayLock,
                    journal: journal,
                    shared: shared,
                    bus: bus,
                    progress: shared,
                    isPaired: { keeper.pairing != nil },
                    selfCheck: selfCheck,
                    log: log
                ),
                ControlUpkeep(control: controlRepository, log: log),
                RecordUpkeep(name: "impressions", kept: ImpressionService.retention, log: log) {
                    time async throws(RepositoryError) in try await storedImpressions.prune(before: time)
                },
                RecordUpkeep(name: "decisions", kept: settings.decisionRetention, log: log) {
                    time async throws(RepositoryError) in try await storedDecisions.prune(before: time)
                },
                decisionLog,
                buildLock,
                SnapshotSchedule(
                    trainer: trainer,
                    rollout: rollout,
                    models: models,
                    jobs: jobs,
                    leadership: BuildLock(lock: buildLock),
                    interval: settings.snapshotInterval,
                    wallClock: WallClock.now,
                    log: log,
                    tenants: { control.tenants },
                    policy: { tenant in control.state(of: tenant).flatMap { $0.isOnLastGoodPolicy ? nil : $0.policy } },
                    announce: { _ = await invalidator.announceControl() }
                ),
                warming,
                ExperimentAllocator(
                    repository: experimentRepository,
                    service: experiments,
                    control: control,
                    leadership: buildLock,
                    every: settings.experimentInterval,
                    log: log
                ),
                erasures,
                FeedbackChannel(
                    configuration: redisConfiguration,
                    primary: deployment.primary,
                    feedback: feedback,
                    control: control,
                    log: log
                ),
            ] + [deployment.blocking].compactMap { $0 as (any Service)? } + [
                FeedbackStream(
                    stream: RedisFeedbackStream(client: deployment.blocking ?? redis, consumer: settings.nodeID),
                    configuration: settings.feedbackStream,
                    feedback: feedback,
                    control: control,
                    log: log
                ),
                HTTPServer(
                    .admin,
                    configuration: settings.http,
                    useCases: useCases,
                    calls: calls,
                    log: log,
                    wallClock: WallClock.now,
                    onBound: { status.bound(admin: $0, host: settings.http.adminHost) }
                ),
                status,
                publicServer,
                StopNotice(status: status, server: publicServer),
            ]
    }

    /// Runs until SIGTERM or SIGINT; requests in progress are answered first.
    package func run() async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: self.services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: self.log
            )
        )
        try await group.run()
    }
}
