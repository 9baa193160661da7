/// An experiment as it is asked for.
public struct ExperimentOrder: Sendable, Equatable {
    /// A plain name that no experiment of the tenant has had.
    public var id: String
    /// Where lists are in it.
    public var surface: String
    /// Experiments of one layer share no user.
    public var layer: String
    /// Of the layer's users, in hundredths of a percent.
    public var share: Int
    /// Two at least; their weights add to 10,000 at most.
    public var variants: [Experiment.Variant]
    /// What is looked for.
    public var design: Experiment.Design
    /// How users are given to variants.
    public var allocation: Experiment.Allocation

    /// An order of these parts.
    public init(
        id: String,
        surface: String,
        layer: String,
        share: Int,
        variants: [Experiment.Variant],
        design: Experiment.Design,
        allocation: Experiment.Allocation = .fixed
    ) {
        self.id = id
        self.surface = surface
        self.layer = layer
        self.share = share
        self.variants = variants
        self.design = design
        self.allocation = allocation
    }
}

/// An experiment that runs, with what it serves by.
public struct RunningExperiment: Sendable, Equatable {
    /// The experiment.
    public var experiment: Experiment
    /// The policies that its variants name, but for the built-in one.
    public var policies: [StoredPolicy]

    /// The models that its variants name.
    public var models: [ModelVersion.Number] { self.experiment.variants.compactMap(\.model) }

    /// An experiment with its policies.
    public init(experiment: Experiment, policies: [StoredPolicy]) {
        self.experiment = experiment
        self.policies = policies
    }
}

/// Users of a variant who were shown it.
public struct VariantCounts: Sendable, Equatable {
    /// Who were shown it, first of all variants of the experiment.
    public var exposed: Int
    /// Of them, who did what is counted.
    public var converted: Int
    /// Of those who were shown it, who were since the variants have their weights.
    public var lately: Int

    /// Counts of these parts.
    public init(exposed: Int = 0, converted: Int = 0, lately: Int = 0) {
        self.exposed = exposed
        self.converted = converted
        self.lately = lately
    }
}

/// Keeps experiments. Every change is a row of the control log.
public protocol ExperimentRepository: Sendable {
    /// Starts an experiment.
    ///
    /// - Throws: `conflict` where the id is taken, the layer has not as many users left, a policy or a model that is named is not
    ///   there or not loaded, or another experiment beside it changes the same on the same surface.
    func start(
        _ order: ExperimentOrder,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (experiment: Experiment, epoch: Int64)
    /// Gives a running experiment other variants, of which those that stay keep their users; nil: there is none of that id.
    ///
    /// - Parameter time: Nothing is done where its weights are of another time; nil: whenever they are of.
    /// - Throws: `conflict` where it is stopped, a variant that it has is left out or served in another way, or as for a start.
    func setVariants(
        _ variants: [Experiment.Variant],
        of id: String,
        ifWeighedAt time: Timestamp?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (experiment: Experiment, epoch: Int64)?
    /// Ends an experiment, where it runs; nil: there is none of that id.
    func stop(
        _ id: String,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (experiment: Experiment, epoch: Int64)?
    /// All of a tenant, the newest first.
    func experiments(tenant: Tenant.ID) async throws(RepositoryError) -> [Experiment]
    /// One; nil: there is none.
    func experiment(_ id: String, tenant: Tenant.ID) async throws(RepositoryError) -> Experiment?
    /// Counts of the variants, in their order.
    func counts(of experiment: Experiment, tenant: Tenant.ID) async throws(RepositoryError) -> [VariantCounts]
}
