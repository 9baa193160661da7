import Logging
import RecommendationCore

extension ControlState {
    /// The experiments that this node can serve every variant of; users of the others are served as without them.
    func experiments(
        _ control: TenantControl,
        after old: TenantState?,
        _ loaded: (ModelVersion.Number) -> TenantState.LoadedModel?
    ) -> [ExperimentWays] {
        control.experiments.compactMap { running in
            do throws(UnreadablePolicy) {
                return ExperimentWays(
                    experiment: running.experiment,
                    ways: try running.experiment.variants.enumerated().map {
                        (index, variant) throws(UnreadablePolicy) in
                        guard variant.policy != nil || variant.model != nil else { return nil }
                        let known = old?.state(of: index, in: running.experiment.id)?.inForce
                        let model = variant.model.flatMap(loaded)
                        if let number = variant.model, model == nil {
                            throw UnreadablePolicy(version: ModelVersion.name(number), reason: "not loaded")
                        }
                        return ExperimentWays.Way(
                            policy: try variant.policy.map { (version) throws(UnreadablePolicy) in
                                try self.policy(version, of: running, known: known)
                            },
                            model: model
                        )
                    }
                )
            } catch {
                self.log.error(
                    "an experiment is not served here",
                    metadata: [
                        "tenant": "\(control.tenant)", "experiment": "\(running.experiment.id)",
                        "version": "\(error.version)", "error": "\(error.reason)",
                    ]
                )
                return nil
            }
        }
    }

    /// - Parameter known: What a variant was served by until now; what is stored of a version never changes.
    private func policy(
        _ version: String,
        of running: RunningExperiment,
        known: PolicyInForce?
    ) throws(UnreadablePolicy) -> PolicyInForce {
        if let known, known.policy.version == version { return known }
        if version == Policy.builtIn.version { return .builtIn }
        guard let stored = running.policies.first(where: { $0.version == version }) else {
            throw UnreadablePolicy(version: version, reason: "not stored")
        }
        return PolicyInForce(policy: try self.policies.decode(stored), unreadable: nil, behindSince: nil)
    }
}
