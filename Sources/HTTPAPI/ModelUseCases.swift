package import RecommendationCore
package import Serving

/// An activation of a model as it is asked for.
package struct ModelActivation: Sendable, Equatable {
    /// Of the users, in hundredths of a percent.
    package var share: Int
    /// However it compares with the active one.
    package var force: Bool
    package var dryRun: Bool

    package init(share: Int, force: Bool, dryRun: Bool) {
        self.share = share
        self.force = force
        self.dryRun = dryRun
    }
}

/// What an activation or a rollback of a model came to.
package struct ModelChange: Sendable, Equatable {
    /// As it is now, or in a dry run as it was and stays.
    package var standing: ModelStanding
    /// How the version compares with the one that was active; nil: that was not asked.
    package var finding: ModelGuard.Finding?
    /// Live nodes that had not loaded the version when it was switched to.
    package var late: Int
    /// nil: a dry run.
    package var announcement: Announcement?

    package init(
        standing: ModelStanding,
        finding: ModelGuard.Finding? = nil,
        late: Int = 0,
        announcement: Announcement?
    ) {
        self.standing = standing
        self.finding = finding
        self.late = late
        self.announcement = announcement
    }
}

/// What the API can be asked for about models.
package struct ModelUseCases: Sendable {
    /// The versions, newest first, and which serve.
    package var list:
        @Sendable (Tenant.ID) async throws(ServingError) -> (versions: [ModelVersion], standing: ModelStanding)
    /// nil: there is no such version; so in the others.
    package var activate:
        @Sendable (ModelVersion.Number, ModelActivation, Tenant.ID) async throws(ServingError) -> ModelChange?
    package var rollback: @Sendable (ModelVersion.Number, Tenant.ID) async throws(ServingError) -> ModelChange?
    package var retire: @Sendable (ModelVersion.Number, Tenant.ID) async throws(ServingError) -> Announcement?
    /// How many nodes have loaded it, of how many.
    package var warm:
        @Sendable (ModelVersion.Number, Tenant.ID) async throws(ServingError) -> (loaded: Int, nodes: Int)?
    package var train: @Sendable (ModelJob.Order, Tenant.ID) async throws(ServingError) -> ModelJob.Number
    package var job: @Sendable (ModelJob.Number, Tenant.ID) async throws(ServingError) -> ModelJob?
    /// What a training may be asked for by name.
    package var recipes: [String]

    package init(
        list:
            @escaping @Sendable (Tenant.ID) async throws(ServingError) -> (
                versions: [ModelVersion], standing: ModelStanding
            ),
        activate:
            @escaping @Sendable (ModelVersion.Number, ModelActivation, Tenant.ID) async throws(ServingError) ->
            ModelChange?,
        rollback: @escaping @Sendable (ModelVersion.Number, Tenant.ID) async throws(ServingError) -> ModelChange?,
        retire: @escaping @Sendable (ModelVersion.Number, Tenant.ID) async throws(ServingError) -> Announcement?,
        warm:
            @escaping @Sendable (ModelVersion.Number, Tenant.ID) async throws(ServingError) -> (
                loaded: Int, nodes: Int
            )?,
        train: @escaping @Sendable (ModelJob.Order, Tenant.ID) async throws(ServingError) -> ModelJob.Number,
        job: @escaping @Sendable (ModelJob.Number, Tenant.ID) async throws(ServingError) -> ModelJob?,
        recipes: [String]
    ) {
        self.list = list
        self.activate = activate
        self.rollback = rollback
        self.retire = retire
        self.warm = warm
        self.train = train
        self.job = job
        self.recipes = recipes
    }
}
