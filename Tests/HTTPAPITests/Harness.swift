import HTTPAPI
import InMemoryLogging
import Logging
import RecommendationCore
import ServiceLifecycle
import Synchronization

@testable import Serving

struct Ports: Sendable {
    let `public`: Int
    let admin: Int
    let logs: InMemoryLogHandler
    /// Begins a graceful shutdown.
    let stop: @Sendable () async -> Void
}

/// Both servers on free ports, until the body returns.
func withServers<Value: Sendable>(
    _ useCases: UseCases = Canned().useCases,
    authentication: Bool = false,
    limits: HTTPConfiguration.Limits = HTTPConfiguration.Limits(),
    _ body: @escaping @Sendable (Ports) async throws -> Value
) async throws -> Value {
    let configuration = HTTPConfiguration(port: 0, adminPort: 0, authentication: authentication, limits: limits)
    let logs = InMemoryLogHandler()
    var log = Logger(label: "test", factory: { _ in logs })
    log.logLevel = .debug
    let clock: @Sendable () -> Timestamp = { Timestamp(seconds: 1_788_256_800) }
    let (publicPorts, publicBound) = AsyncStream<Int>.makeStream()
    let (adminPorts, adminBound) = AsyncStream<Int>.makeStream()
    let servers = [
        HTTPServer(.public, configuration: configuration, useCases: useCases, log: log, wallClock: clock) {
            publicBound.yield($0)
        },
        HTTPServer(.admin, configuration: configuration, useCases: useCases, log: log, wallClock: clock) {
            adminBound.yield($0)
        },
    ]
    let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: servers, logger: log))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        var publicIterator = publicPorts.makeAsyncIterator()
        var adminIterator = adminPorts.makeAsyncIterator()
        let ports = Ports(
            public: await publicIterator.next()!,
            admin: await adminIterator.next()!,
            logs: logs,
            stop: { await group.triggerGracefulShutdown() }
        )
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(ports))
        } catch {
            result = .failure(error)
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        return try result.get()
    }
}

/// Canned answers, and what was asked for.
final class Canned: Sendable {
    struct Asked {
        var recommendations: [RecommendationRequest] = []
        var batches: [([RecommendationRequest], Tenant.ID)] = []
        var similar: [SimilarRequest] = []
        var lists: [ListRequest] = []
        var sessions: [SessionRequest] = []
        var warmings: [(String, Tenant.ID)] = []
        var erased: [(User.ID, Tenant.ID)] = []
        var feedback: [(FeedbackRequest, Tenant.ID)] = []
        var impressions: [(ImpressionRequest, Tenant.ID)] = []
        var added: [([Tombstone], String?, Timestamp?, Tenant.ID)] = []
        var removed: [([Tombstone], Tenant.ID)] = []
        var listed: [(kind: Tombstone.Kind?, cursor: String?, limit: Int, tenant: Tenant.ID)] = []
        var purges: [(PurgeScope, Bool, Tenant.ID)] = []
        var models: [Tenant.ID] = []
        var presentedKeys: [String] = []
        var items: [(Item, ItemCondition, Tenant.ID)] = []
        var patches: [(Item.ID, ItemPatch, ItemCondition, Tenant.ID)] = []
        var deletions: [(Item.ID, ItemCondition, Tenant.ID)] = []
        var pages: [(String?, Int, Tenant.ID)] = []
        var userChanges: [(UserChange, User.ID, Tenant.ID)] = []
        var inspected: [(User.ID, Tenant.ID)] = []
        var policies: [(Policy, Tenant.ID)] = []
        /// What was done with which model of whom.
        var modelCalls: [String] = []
        /// What was done with which version of whom.
        var policyCalls: [String] = []
        var epochs: [(Int64, Tenant.ID?)] = []
        var experiments: [ExperimentOrder] = []
        /// Changes that were waited for.
        var waits: [Announcement] = []
    }

    fileprivate let asked = Mutex(Asked())

    var last: Asked { self.asked.withLock { $0 } }

    /// The answers, which a test may replace.
    var useCases: UseCases {
        UseCases(
            recommend: { request throws(ServingError) in
                self.asked.withLock { $0.recommendations.append(request) }
                return .full
            },
            lists: ListUseCases(
                recommendMany: { requests, tenant throws(ServingError) in
                    self.asked.withLock { $0.batches.append((requests, tenant)) }
                    return requests.map { request in
                        if request.minimumVersion > 118 { return .failure(.versionUnknown) }
                        var answer = Recommendation.full
                        answer.user = request.user
                        answer.items = []
                        return .success(answer)
                    }
                },
                explain: { item, request throws(ServingError) in
                    self.asked.withLock { $0.recommendations.append(request) }
                    if item.string == "nothing" { throw .unknownItem }
                    return .example(item)
                },
                similar: { request throws(ServingError) in
                    self.asked.withLock { $0.similar.append(request) }
                    if request.item.string == "nothing" { throw .unknownItem }
                    return .example(isTracked: true)
                },
                list: { request throws(ServingError) in
                    self.asked.withLock { $0.lists.append(request) }
                    return .example(isTracked: request.isTracked)
                },
                session: { request throws(ServingError) in
                    self.asked.withLock { $0.sessions.append(request) }
                    var answer = Recommendation.full
                    answer.user =
                        request.recommendation.user == TokenSigner.nobody ? nil : request.recommendation.user
                    return answer
                }
            ),
            recordFeedback: { requests, tenant throws(ServingError) in
                self.asked.withLock { asked in asked.feedback += requests.map { ($0, tenant) } }
                return FeedbackAnswer(
                    accepted: requests.count,
                    duplicates: 0,
                    rejected: [],
                    userVersions: [(requests[0].user, 119)],
                    propagated: true
                )
            },
            recordImpressions: { request, tenant throws(ServingError) in
                self.asked.withLock { $0.impressions.append((request, tenant)) }
                return ImpressionAnswer(accepted: request.items.count)
            },
            addTombstones: { tombstones, reason, expiresAt, tenant throws(ServingError) in
                self.asked.withLock { $0.added.append((tombstones, reason, expiresAt, tenant)) }
                return TombstoneAnswer(epoch: 9012, changed: 1, unchanged: 0, announcement: .example(9012))
            },
            removeTombstones: { tombstones, tenant throws(ServingError) in
                self.asked.withLock { $0.removed.append((tombstones, tenant)) }
                return TombstoneAnswer(epoch: 9013, changed: 2, unchanged: 3, announcement: .example(9013, false))
            },
            listTombstones: { kind, cursor, limit, tenant throws(ServingError) in
                self.asked.withLock { $0.listed.append((kind, cursor, limit, tenant)) }
                if let cursor, TombstoneCursor.place(of: cursor) == nil { return nil }
                return TombstonePage(tombstones: [.legal], nextCursor: TombstoneCursor.text(after: .legal))
            },
            purge: { scope, dryRun, tenant throws(ServingError) in
                self.asked.withLock { $0.purges.append((scope, dryRun, tenant)) }
                if dryRun { return .nothing }
                if case .user = scope { return .user(version: 121, .example(nil)) }
                return .generation(epoch: 9013, .example(9013))
            },
            catalogue: self.catalogue,
            erasures: ErasureUseCases(
                erase: { user, tenant in
                    self.asked.withLock { $0.erased.append((user, tenant)) }
                    return ErasureAnswer(number: 1, propagated: user.string != "late")
                },
                erasure: { number, _ in
                    guard number < 3 else { return nil }
                    return Erasure(
                        number: number,
                        state: number == 1 ? .done : .failed,
                        removed: Erasure.Removed(redisKeys: 1, rows: 3_121),
                        reason: number == 1 ? nil : "Redis: OOM",
                        createdAt: Timestamp(seconds: 1_788_256_800),
                        finishedAt: number == 1 ? Timestamp(seconds: 1_788_256_806) : nil
                    )
                }
            ),
            models: self.models,
            warming: WarmingUseCases(
                start: { surface, tenant throws(ServingError) in
                    self.asked.withLock { $0.warmings.append((surface, tenant)) }
                    if surface == "shelf" { throw .unknownSurface(allowed: ["home"]) }
                    return 3
                },
                job: { number, tenant in number == 3 ? .example : nil }
            ),
            nodes: { () throws(ServingError) in [.example] },
            epoch: { epoch, tenant in
                self.asked.withLock { $0.epochs.append((epoch, tenant)) }
                return epoch == 9012 ? .example : nil
            },
            everywhere: { announcement in
                self.asked.withLock { $0.waits.append(announcement) }
                return announcement.isPropagated
            },
            policies: self.policies,
            experiments: ExperimentUseCases(
                start: { order, _ throws(ServingError) in
                    self.asked.withLock { $0.experiments.append(order) }
                    return ExperimentChange(experiment: .made(by: order), epoch: 9, announcement: .example(9))
                },
                setVariants: { variants, id, _ throws(ServingError) in
                    var experiment = Experiment.example
                    experiment.variants = variants
                    return id == "none"
                        ? nil : ExperimentChange(experiment: experiment, epoch: 9, announcement: .example(9))
                },
                stop: { id, _ throws(ServingError) in
                    id == "none" ? nil : ExperimentChange(experiment: .example, epoch: 9, announcement: .example(9))
                },
                experiments: { _ throws(ServingError) in [.example] },
                experiment: { id, _ throws(ServingError) in id == "none" ? nil : .example },
                results: { id, _ throws(ServingError) in
                    id == "none"
                        ? nil
                        : ExperimentResults(
                            experiment: .example,
                            variants: [
                                ExperimentResults.Variant(name: "a", proportion: Proportion(5, of: 10), best: 0.25),
                                ExperimentResults.Variant(
                                    name: "b",
                                    proportion: Proportion(6, of: 10),
                                    lift: 0.2,
                                    pValue: 0.6,
                                    sequentialPValue: 0.9,
                                    best: 0.75
                                ),
                            ],
                            required: 31_235,
                            ratio: 1,
                            verdict: "insufficient"
                        )
                }
            ),
            authenticate: { key in
                self.asked.withLock { $0.presentedKeys.append(key) }
                return switch key {
                case "reader": Principal(tenant: .acme, scopes: [.read])
                case "writer": Principal(tenant: .acme, scopes: [.write])
                case "admin": Principal(tenant: .acme, scopes: [.admin])
                case "fleet": Principal(tenant: .fleet, scopes: [.admin])
                default: nil
                }
            },
            readiness: { Readiness(ready: true, waitingFor: [], degraded: ["redis"]) },
            metrics: { Array("vireo_up 1\n".utf8) }
        )
    }
}

extension Canned {
    /// The answers about items and users: item `i7` is there, at revision 5, and user `u1`, at version 118.
    var catalogue: CatalogueUseCases {
        CatalogueUseCases(
            putItem: { item, condition, tenant throws(ServingError) in
                self.note { $0.items.append((item, condition, tenant)) }
                guard condition.holds(at: item.id == .i7 ? 5 : nil) else { return .conditionFailed }
                return .stored(revision: 6, created: item.id != .i7, .example(nil))
            },
            patchItem: { id, patch, condition, tenant throws(ServingError) in
                self.note { $0.patches.append((id, patch, condition, tenant)) }
                guard id == .i7 else { return .unknown }
                guard condition.holds(at: 5) else { return .conditionFailed }
                let item = patch.applied(to: StoredItem.full.item)
                guard item.violations.isEmpty else { return .invalid(item.violations) }
                return .stored(revision: 6, created: false, .example(nil, false))
            },
            deleteItem: { id, condition, tenant throws(ServingError) in
                self.note { $0.deletions.append((id, condition, tenant)) }
                guard id == .i7 else { return .unknown }
                return condition.holds(at: 5) ? .deleted(epoch: 9014, .example(9014)) : .conditionFailed
            },
            item: { id, tenant throws(ServingError) in id == .i7 ? .full : nil },
            items: { cursor, limit, tenant throws(ServingError) in
                self.note { $0.pages.append((cursor, limit, tenant)) }
                if let cursor, ItemCursor.id(of: cursor) == nil { return nil }
                return ItemPage(items: [.full], nextCursor: ItemCursor.text(after: .i7))
            },
            user: { user, tenant throws(ServingError) in user == User.ID(trusted: "u1") ? .full : nil },
            changeUser: { change, user, tenant throws(ServingError) in
                self.note { $0.userChanges.append((change, user, tenant)) }
                if user == User.ID(trusted: "full") { return .tooManySuppressions }
                if !change.createsUser, user != User.ID(trusted: "u1") { return .unknownUser }
                return .stored(version: 120, propagated: true)
            },
            cacheEntries: { user, tenant in
                self.note { $0.inspected.append((user, tenant)) }
                return .full
            }
        )
    }

    private func note(_ change: (inout Asked) -> Void) { self.asked.withLock { change(&$0) } }
}

extension ListedTombstone {
    static let legal = ListedTombstone(
        tombstone: Tombstone(kind: .item, key: Identifier(trusted: "i7")),
        reason: "legal",
        expiresAt: nil,
        epoch: 9012,
        createdAt: Timestamp(seconds: 1_788_256_800)
    )
}

extension Identifier where Entity == Item {
    static var i7: Self { Self(trusted: "i7") }
}

extension StoredItem {
    /// An item in which every field holds something.
    static let full = StoredItem(
        item: Item(
            id: .i7,
            title: "Alien \"3\"",
            categories: ["horror", "scifi"],
            creator: "c9",
            campaigns: ["spring"],
            labels: ["lang": "en", "age": "18"],
            price: 9.99,
            regions: ["de"],
            availableFrom: Timestamp(seconds: 1_788_256_800),
            availableUntil: Timestamp(seconds: 1_798_256_800),
            inStock: false,
            hidden: true
        ),
        revision: 5,
        createdAt: Timestamp(seconds: 1_788_256_800)
    )
}

extension StoredUser {
    static let full = StoredUser(
        profile: Profile(labels: ["country": "DE"], preferredCategories: ["scifi"]),
        consent: false,
        suppressions: [
            Suppression(kind: .item, key: Identifier(trusted: "i7")),
            Suppression(kind: .category, key: Identifier(trusted: "a/b")),
        ],
        version: 118
    )
}

extension InspectedUser {
    static let full = InspectedUser(
        floor: 118,
        hasAskedRedis: true,
        entries: [
            InspectedPool(
                tier: .l1,
                field: "home|m1|p0|||0",
                bytes: 900,
                entry: InspectedPool.Entry(
                    ageMilliseconds: 412,
                    userVersion: 118,
                    freshForMilliseconds: -5,
                    servableForMilliseconds: 1_000
                )
            ),
            InspectedPool(tier: .l2, field: "home|m0|p0|||0", bytes: 3, entry: nil),
        ]
    )
}

extension Canned {
    /// A tenant with p7 in force, p6 before that, and nothing else.
    private var policies: PolicyUseCases {
        let standing = PolicyStanding(active: "p7", previous: "p6", epoch: 9_001)
        @Sendable func note(_ verb: String, _ version: String, _ activation: PolicyActivation, _ tenant: Tenant.ID) {
            let expected = activation.expected.map { " if \($0)" } ?? ""
            let share = activation.share == 10_000 ? "" : " for \(activation.share)"
            self.asked.withLock {
                $0.policyCalls.append("\(verb) \(version) \(activation.dryRun)\(share)\(expected) of \(tenant)")
            }
        }
        return PolicyUseCases(
            put: { policy, tenant throws(ServingError) in
                self.asked.withLock { $0.policies.append((policy, tenant)) }
                return policy.version == "p8"
            },
            policy: { version, tenant throws(ServingError) in
                self.asked.withLock { $0.policyCalls.append("get \(version) of \(tenant)") }
                return version == "p0" ? .builtIn : nil
            },
            versions: { tenant throws(ServingError) in
                self.asked.withLock { $0.policyCalls.append("list of \(tenant)") }
                return (
                    [
                        PolicyVersion(version: "p7", createdAt: Timestamp(seconds: 1_788_256_800)),
                        PolicyVersion(version: "p0", createdAt: nil),
                    ], standing
                )
            },
            activate: { version, activation, tenant throws(ServingError) in
                note("activate", version, activation, tenant)
                if version == "missing" { return nil }
                guard activation.expected?.contains(standing.epoch) ?? true else { throw .changed }
                var next = standing
                if activation.share < 10_000 {
                    next.canary = PolicyCanary(version: version, share: activation.share)
                } else {
                    next.active = version
                }
                return activation.dryRun ? .would(next) : .done(next, .example(next.epoch))
            },
            rollback: { version, activation, tenant throws(ServingError) in
                note("rollback", version, activation, tenant)
                guard version == "p7" else { throw .conflict("\(version) is not in force; p7 is") }
                guard activation.expected?.contains(standing.epoch) ?? true else { throw .changed }
                var next = standing
                next.active = "p6"
                return activation.dryRun ? .would(next) : .done(standing, .example(standing.epoch, false))
            },
            dryRun: { version, trial, tenant throws(ServingError) in
                self.asked.withLock {
                    $0.policyCalls.append("try \(version) \(trial.users) \(trial.surface) \(trial.limit) of \(tenant)")
                }
                if version == "missing" { return nil }
                var comparison = PolicyComparison(version: version, against: "p7", trial: trial)
                comparison.users = 4
                comparison.changedUsers = 1
                comparison.itemsIn = 2
                comparison.itemsOut = 3
                comparison.itemsMoved = 4
                comparison.itemsKept = 5
                comparison.after.short = 1
                comparison.after.policy = 6
                comparison.before.diversity = 7
                comparison.examples = [
                    PolicyComparison.Example(
                        user: User.ID(trusted: "u1"),
                        before: [Item.ID(trusted: "i1")],
                        after: [Item.ID(trusted: "i2"), Item.ID(trusted: "i3")]
                    )
                ]
                return comparison
            }
        )
    }
}

extension Canned {
    /// m42 is active, m43 is being built, m44 is too bad, and there are no others.
    var models: ModelUseCases {
        let standing = ModelStanding(
            active: 42,
            canary: ModelCanary(number: 41, share: 1_250),
            previous: 40,
            epoch: 9_020
        )
        @Sendable func note(_ call: String) { self.asked.withLock { $0.modelCalls.append(call) } }
        return ModelUseCases(
            list: { tenant throws(ServingError) in
                self.asked.withLock { $0.models.append(tenant) }
                return ([.active, .building], standing)
            },
            activate: { number, activation, tenant throws(ServingError) in
                note("activate \(number) \(activation.share) \(activation.force) \(activation.dryRun) of \(tenant)")
                switch number {
                case 42:
                    return ModelChange(
                        standing: standing,
                        finding: activation.force ? .failed(.example) : .notCompared,
                        late: 1,
                        announcement: activation.dryRun ? nil : .example(standing.epoch)
                    )
                case 44: throw .modelRefused(.example)
                default: return nil
                }
            },
            rollback: { number, tenant throws(ServingError) in
                note("rollback \(number) of \(tenant)")
                guard number == 42 else { throw .conflict("m\(number) does not serve; m42 does") }
                return ModelChange(standing: standing, announcement: .example(standing.epoch, false))
            },
            retire: { number, tenant throws(ServingError) in
                note("retire \(number) of \(tenant)")
                return number == 42 ? .example(9_021) : nil
            },
            warm: { number, tenant throws(ServingError) in
                note("warm \(number) of \(tenant)")
                return number == 42 ? (1, 2) : nil
            },
            train: { order, tenant throws(ServingError) in
                note("train \(order.recipe ?? "-") \(order.activates) \(order.forces) of \(tenant)")
                return 7
            },
            job: { number, tenant throws(ServingError) in number == 7 ? .example : nil },
            recipes: ["product", "ease"]
        )
    }
}

extension ModelShortfall {
    /// Of m44 against m42.
    static let example: ModelShortfall = {
        var candidate = ModelVersion.active
        candidate.number = 44
        candidate.metrics = ["ndcg_at_10": 0.0912]
        candidate.baseline = ModelBaseline(number: 42, metrics: ["ndcg_at_10": 0.121])
        guard case .failed(let shortfall) = ModelGuard(allowance: 0.125).finding(candidate, active: 42) else {
            fatalError("it is not far below")
        }
        return shortfall
    }()
}

extension ModelJob {
    static let example = ModelJob(
        number: 7,
        tenant: .default,
        order: Order(recipe: "ease", activates: true),
        state: .done,
        model: 43,
        reason: "not activated",
        createdAt: Timestamp(seconds: 1_788_256_800),
        startedAt: Timestamp(seconds: 1_788_256_801)
    )
}

extension WarmJob {
    static let example = WarmJob(
        number: 3,
        tenant: .default,
        surface: "home",
        isScheduled: true,
        state: .running,
        progress: Progress(total: 120, computed: 30, held: 48, failed: 2),
        createdAt: Timestamp(seconds: 1_788_256_800),
        startedAt: Timestamp(seconds: 1_788_256_801)
    )
}

extension Identifier where Entity == Tenant {
    static var acme: Self { Self(trusted: "acme") }
}

extension ModelVersion {
    static let active = ModelVersion(
        number: 42,
        tenant: .default,
        state: .active,
        recipe: "g=.5",
        builtAt: Timestamp(seconds: 1_788_256_800),
        interactions: 20_000_000,
        users: 1_000_000,
        items: 50_000,
        bytes: 9,
        checksum: 7,
        metrics: ["recall_at_10": 0.5, "ndcg_at_10": 0.21]
    )

    static let building: ModelVersion = {
        var model = ModelVersion.active
        model.number = 43
        model.state = .building
        model.metrics = [:]
        return model
    }()
}

extension NodeStatus {
    static let example = NodeStatus(
        id: "n1",
        startedAt: Timestamp(seconds: 1_788_256_800),
        version: "0.1.0",
        httpURL: "http://127.0.0.1:8080",
        adminURL: "http://127.0.0.1:9080",
        leaseAgeMilliseconds: 80,
        controlApplied: 9013,
        model: "m42",
        policy: "p7",
        l1Entries: 1,
        l1Bytes: 900,
        seenAt: Timestamp(seconds: 1_788_256_800)
    )
}

extension Recommendation {
    /// An answer in which every field holds something.
    static let full = Recommendation(
        id: RecommendationID(high: 0, low: 1),
        user: User.ID(trusted: "u1"),
        surface: "home",
        generatedAt: Timestamp(seconds: 1_788_256_800),
        items: [
            RecommendedItem(
                item: Item.ID(trusted: "i7"),
                rank: 1,
                score: 0.8123,
                trackingToken: "v1.k3",
                collaborative: 0.52,
                content: 0.21,
                popularity: 0.0823,
                reason: .becauseYouLiked,
                seed: RecommendedItem.Seed(item: Item.ID(trusted: "i3"), title: "Alien")
            ),
            RecommendedItem(
                item: Item.ID(trusted: "i\"8"),
                rank: 2,
                score: 0.5,
                trackingToken: "v1.k4",
                collaborative: 0,
                content: 0.2,
                popularity: 0.3,
                reason: .similarToHistory,
                seed: nil
            ),
        ],
        modelVersion: "m42",
        policyVersion: "p7",
        tier: .l1,
        ageMilliseconds: 1_412,
        fallback: nil,
        fallbackReason: nil,
        degraded: [.redis, .unverified],
        filtered: {
            var counts = FilteredCounts()
            counts.tombstone = 1
            counts.unavailable = 2
            counts.seen = 4
            counts.suppressed = 5
            counts.policy = 6
            counts.frequencyCap = 7
            counts.diversity = 3
            counts.poolExhausted = true
            return counts
        }(),
        userVersion: 118,
        stages: [
            Stage(name: "cache", duration: .microseconds(120)), Stage(name: "final", duration: .microseconds(1_500)),
        ]
    )
}

extension ItemList {
    static func example(isTracked: Bool) -> ItemList {
        ItemList(
            id: isTracked ? RecommendationID(high: 0, low: 1) : nil,
            surface: "popular",
            generatedAt: Timestamp(seconds: 1_788_256_800),
            items: [
                RecommendedItem(
                    item: Item.ID(trusted: "i7"),
                    rank: 1,
                    score: 0.5,
                    trackingToken: isTracked ? "v1.k3" : "",
                    collaborative: 0,
                    content: 0,
                    popularity: 0.5,
                    reason: .popular,
                    seed: nil
                )
            ],
            modelVersion: "m42",
            policyVersion: "p7",
            filtered: FilteredCounts(),
            userVersion: 0,
            tag: "9013.m42.p7.abc"
        )
    }
}

extension Announcement {
    static func example(_ epoch: Int64?, _ isPropagated: Bool = true) -> Announcement {
        Announcement(epoch: epoch, isPropagated: isPropagated, publishedAt: nil)
    }
}

extension EpochProgress {
    static let example = EpochProgress(
        epoch: 9012,
        createdAt: Timestamp(seconds: 1_788_256_800),
        nodes: [
            Node(id: "n1", appliedAt: Timestamp(microseconds: 1_788_256_800_041_900)),
            Node(id: "n2", appliedAt: nil),
        ]
    )
}

extension ItemExplanation {
    /// One that says no.
    static func example(_ item: Item.ID) -> ItemExplanation {
        ItemExplanation(
            item: item,
            rank: nil,
            removedBy: .diversity,
            candidacy: Candidacy(
                rank: 4,
                score: 0.75,
                collaborative: 0.5,
                content: 0.25,
                popularity: 0,
                seed: Item.ID(trusted: "i3")
            ),
            candidates: 250,
            list: .full
        )
    }
}
