package import RecommendationCore
package import Serving

/// What the API can be asked for; App fills it with the services, a test with canned answers.
package struct UseCases: Sendable {
    package var recommend: @Sendable (RecommendationRequest) async throws(ServingError) -> Recommendation
    /// What is answered on the event loop; nil: nothing.
    package var immediate: ImmediateUseCases?
    package var lists: ListUseCases
    package var recordFeedback: @Sendable ([FeedbackRequest], Tenant.ID) async throws(ServingError) -> FeedbackAnswer
    package var recordImpressions:
        @Sendable (ImpressionRequest, Tenant.ID) async throws(ServingError) -> ImpressionAnswer
    /// Tombstones, reason, end, tenant.
    package var addTombstones:
        @Sendable ([Tombstone], String?, Timestamp?, Tenant.ID) async throws(ServingError) -> TombstoneAnswer
    package var removeTombstones: @Sendable ([Tombstone], Tenant.ID) async throws(ServingError) -> TombstoneAnswer
    /// Kind, cursor, limit, tenant; nil: the cursor is none.
    package var listTombstones:
        @Sendable (Tombstone.Kind?, String?, Int, Tenant.ID) async throws(ServingError) -> TombstonePage?
    /// Scope, `dry_run`, tenant; a purge of a tenant comes with that tenant, whoever asks for it.
    package var purge: @Sendable (PurgeScope, Bool, Tenant.ID) async throws(ServingError) -> PurgeAnswer
    package var catalogue: CatalogueUseCases
    package var erasures: ErasureUseCases
    package var models: ModelUseCases
    package var warming: WarmingUseCases
    package var nodes: @Sendable () async throws(ServingError) -> [NodeStatus]
    /// How far a change has come; nil: there is no such change, or it is of another tenant than the one named.
    package var epoch: @Sendable (Int64, Tenant.ID?) async throws(ServingError) -> EpochProgress?
    /// Waits until a change is in what every node serves, as long as that may take; false: it is not known to be.
    package var everywhere: @Sendable (Announcement) async -> Bool
    package var policies: PolicyUseCases
    package var selfCheck = SelfCheckUseCases.off
    package var experiments: ExperimentUseCases
    /// Window, surface, tenant; nothing was shown, where nothing else is said.
    package var quality:
        @Sendable (QualityReport.Window, String?, Tenant.ID) async throws(ServingError) -> QualityReport = {
            _,
            _,
            _ async throws(ServingError) in QualityReport(since: Timestamp(seconds: 0), figures: [])
        }
    /// What a recommendation was made of; nil: nothing is recorded of it, where nothing else is said.
    package var decision: @Sendable (RecommendationID, Tenant.ID) async throws(ServingError) -> ReplayedDecision? = {
        _,
        _ async throws(ServingError) in nil
    }
    /// The caller behind a presented key; it compares in constant time or by hash, among keys that are current.
    package var authenticate: @Sendable (String) async throws(ServingError) -> Principal?
    /// Holds keys to their limits; nil: nobody does.
    package var rates: RateLimiter?
    package var readiness: @Sendable () -> Readiness
    /// Whether the node is going away: connections are to be closed after their next answer.
    package var isStopping: @Sendable () -> Bool
    /// The exposition for Prometheus.
    package var metrics: @Sendable () -> [UInt8]

    package init(
        recommend: @escaping @Sendable (RecommendationRequest) async throws(ServingError) -> Recommendation,
        lists: ListUseCases,
        recordFeedback:
            @escaping @Sendable ([FeedbackRequest], Tenant.ID) async throws(ServingError) -> FeedbackAnswer,
        recordImpressions:
            @escaping @Sendable (ImpressionRequest, Tenant.ID) async throws(ServingError) -> ImpressionAnswer,
        addTombstones:
            @escaping @Sendable ([Tombstone], String?, Timestamp?, Tenant.ID) async throws(ServingError) ->
            TombstoneAnswer,
        removeTombstones:
            @escaping @Sendable ([Tombstone], Tenant.ID) async throws(ServingError) -> TombstoneAnswer,
        listTombstones:
            @escaping @Sendable (Tombstone.Kind?, String?, Int, Tenant.ID) async throws(ServingError) -> TombstonePage?,
        purge: @escaping @Sendable (PurgeScope, Bool, Tenant.ID) async throws(ServingError) -> PurgeAnswer,
        catalogue: CatalogueUseCases,
        erasures: ErasureUseCases,
        models: ModelUseCases,
        warming: WarmingUseCases,
        nodes: @escaping @Sendable () async throws(ServingError) -> [NodeStatus],
        epoch: @escaping @Sendable (Int64, Tenant.ID?) async throws(ServingError) -> EpochProgress?,
        everywhere: @escaping @Sendable (Announcement) async -> Bool,
        policies: PolicyUseCases,
        experiments: ExperimentUseCases,
        authenticate: @escaping @Sendable (String) async throws(ServingError) -> Principal?,
        readiness: @escaping @Sendable () -> Readiness,
        isStopping: @escaping @Sendable () -> Bool = { false },
        metrics: @escaping @Sendable () -> [UInt8]
    ) {
        self.recommend = recommend
        self.lists = lists
        self.recordFeedback = recordFeedback
        self.recordImpressions = recordImpressions
        self.addTombstones = addTombstones
        self.removeTombstones = removeTombstones
        self.listTombstones = listTombstones
        self.purge = purge
        self.catalogue = catalogue
        self.erasures = erasures
        self.models = models
        self.warming = warming
        self.nodes = nodes
        self.epoch = epoch
        self.everywhere = everywhere
        self.policies = policies
        self.experiments = experiments
        self.authenticate = authenticate
        self.readiness = readiness
        self.isStopping = isStopping
        self.metrics = metrics
    }
}

/// Calls a use case and says its error in HTTP.
func mapped<Value>(_ body: () async throws(ServingError) -> Value) async throws(Problem) -> Value {
    do {
        return try await body()
    } catch {
        throw Problem(error)
    }
}
