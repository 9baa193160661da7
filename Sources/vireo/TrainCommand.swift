import App
import ArgumentParser
import RecommendationCore
import RecommendationEngine
import Training

struct Train: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Build a model version from PostgreSQL, evaluate it on held-back events, and register it.",
        discussion: "Example:\n  vireo train --activate"
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Option(help: "\(Recipe.names.joined(separator: ", ")), or best: what finds the last events of some users best.")
    var recipe = "best"
    @Flag(help: "Put it into service once every node has loaded it, unless it falls too far below the active one.")
    var activate = false
    @Flag(help: "Put it into service however it compares.")
    var force = false
    @Flag(help: "Write JSON.")
    var json = false

    func validate() throws {
        _ = try self.option()
        guard self.activate || !self.force else { throw ValidationError("--force is for --activate only") }
        _ = try self.tenant.id()
    }

    private func option() throws -> RecipeOption {
        guard let option = RecipeOption(named: self.recipe) else {
            throw ValidationError("--recipe must be one of \(RecipeOption.names.joined(separator: ", "))")
        }
        return option
    }

    func run() async throws {
        let tenant = try self.tenant.id()
        let recipe = try self.option()
        let (report, activation) = try await self.options.session { session in
            try await TrainOperation(session: session).run(
                tenant: tenant,
                recipe: recipe,
                evaluates: true,
                activates: self.activate,
                forces: self.force
            )
        }
        let isActive = if case .success = activation { true } else { false }
        let version = report.version
        let metrics = version.metrics.sorted { $0.key < $1.key }
        if self.json {
            let members = metrics.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
            Terminal.line(
                """
                {"version":"\(ModelVersion.name(version.number))","active":\(isActive),"recipe":"\(version.recipe)",\
                "interactions":\(version.interactions),"users":\(version.users),"items":\(version.items),\
                "bytes":\(version.bytes),"metrics":{\(members)}}
                """
            )
            return try Self.check(activation)
        }
        Terminal.line(
            "\(ModelVersion.name(version.number)) \(isActive ? "is active" : "is ready"): \(version.interactions) interactions, "
                + "\(version.users) users, \(version.items) items, \(version.bytes / 1_024) KiB, by \(version.recipe)"
        )
        for (name, value) in metrics { Terminal.line("  \(name) \((value * 10_000).rounded() / 10_000)") }
        if report.outcomes.count > 1 { Terminal.line("  tried, with ndcg_at_20:") }
        for outcome in report.outcomes where report.outcomes.count > 1 {
            let parameters = outcome.recipe.parameters.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            let gain = (outcome.gain * 100_000).rounded() / 100_000
            Terminal.line("    \(gain) \(outcome.recipe.name)\(parameters.joined())")
        }
        Terminal.line("  read \(report.read), evaluate \(report.evaluation), fit \(report.fit), store \(report.store)")
        try Self.check(activation)
    }

    /// Fails where the model was to be put into service and is not: it stays ready, and the one before serves on.
    private static func check(_ activation: Result<ModelRollout.Outcome, RolloutError>?) throws {
        guard case .failure(let error) = activation else { return }
        throw error
    }
}
