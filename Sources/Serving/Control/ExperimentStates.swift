import RecommendationCore

/// The variant of an experiment that an answer is of.
package struct ExperimentVariant: Sendable, Equatable {
    package let id: String
    package let variant: String

    package init(id: String, variant: String) {
        self.id = id
        self.variant = variant
    }
}

extension [ExperimentVariant] {
    /// As tokens say it: `e1=b,e2=a`.
    var text: String { self.map { "\($0.id)=\($0.variant)" }.joined(separator: ",") }

    /// What tokens say.
    init(text: String) {
        self = text.split(separator: ",").compactMap { part in
            let names = part.split(separator: "=", maxSplits: 1)
            return names.count == 2 ? ExperimentVariant(id: String(names[0]), variant: String(names[1])) : nil
        }
    }
}

/// An experiment, and by what its variants are to be served.
struct ExperimentWays {
    /// nil: as the user is served anyway.
    struct Way {
        let policy: PolicyInForce?
        let model: TenantState.LoadedModel?
    }

    let experiment: Experiment
    /// In the order of the variants.
    let ways: [Way?]
}

/// An experiment that runs, and the states that its variants are served by.
struct ExperimentStates: Sendable {
    let experiment: Experiment
    let draw: Experiment.Draw
    /// In the order of the variants; nil: as the user is served anyway.
    let states: [TenantState?]

    init(_ experiment: Experiment, tenant: Tenant.ID, states: [TenantState?]) {
        self.init(experiment, experiment.draw(tenant: tenant), states)
    }

    private init(_ experiment: Experiment, _ draw: Experiment.Draw, _ states: [TenantState?]) {
        self.experiment = experiment
        self.draw = draw
        self.states = states
    }

    /// The same with other states.
    func mapped(_ change: (TenantState) -> TenantState) -> ExperimentStates {
        ExperimentStates(self.experiment, self.draw, self.states.map { $0.map(change) })
    }
}
