import App
import ArgumentParser
import RecommendationCore
import Training

struct Models: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The registry of models: what there is, what serves, and models made elsewhere.",
        subcommands: [
            List.self, Show.self, Activate.self, Rollback.self, Retire.self, Import.self, Export.self,
        ],
        defaultSubcommand: List.self
    )

    /// A version of a command.
    struct Version: ParsableArguments {
        @Argument(help: "The version, for example m42.")
        var version: String

        func number() throws -> ModelVersion.Number {
            guard let number = ModelVersion.number(self.version) else {
                throw ValidationError("the version must be m and a number, for example m42")
            }
            return number
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the versions of a tenant, newest first.",
            discussion: "Example:\n  vireo models list --json"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @Flag(help: "Write JSON, a line each.")
        var json = false

        func run() async throws {
            let tenant = try self.tenant.id()
            let (versions, standing) = try await self.options.session { session in
                try await ModelOperation(session: session).list(tenant: tenant)
            }
            for version in versions {
                if self.json {
                    Terminal.line(ModelOperation.json(version, standing))
                } else {
                    let share = standing.canary == nil ? "" : "\t\(text(standing.percent(of: version.number))) %"
                    Terminal.line(
                        "\(ModelVersion.name(version.number))\t\(version.state.rawValue)\t\(version.builtAt.rfc3339)\t"
                            + "\(version.recipe)\t\(version.interactions) interactions\(share)"
                    )
                }
            }
            if versions.isEmpty, !self.json { Terminal.line("no models; run vireo train --activate") }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show all that the registry has of a version.",
            discussion: "Example:\n  vireo models show m42"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @OptionGroup var version: Version
        @Flag(help: "Write JSON.")
        var json = false

        func validate() throws { _ = try self.version.number() }

        func run() async throws {
            let (number, tenant) = (try self.version.number(), try self.tenant.id())
            let (version, standing) = try await self.options.session { session in
                try await ModelOperation(session: session).show(number, tenant: tenant)
            }
            if self.json { return Terminal.line(ModelOperation.json(version, standing)) }
            let percent = standing.percent(of: number)
            Terminal.line(
                "\(self.version.version) is \(version.state.rawValue)"
                    + (percent > 0 ? ", for \(text(percent)) % of the users" : "")
            )
            Terminal.line("  recipe        \(version.recipe)\(Self.figures(version.parameters))")
            Terminal.line("  built at      \(version.builtAt.rfc3339)")
            Terminal.line(
                "  data          \(version.firstEvent?.rfc3339 ?? "unknown") to \(version.lastEvent?.rfc3339 ?? "unknown"): "
                    + "\(version.interactions) interactions, \(version.users) users, \(version.items) items"
            )
            Terminal.line("  artifact      \(version.bytes) bytes, XXH64 \(version.checksumText)")
            Terminal.line("  metrics      \(Self.figures(version.metrics))")
            if let baseline = version.baseline {
                Terminal.line(
                    "  \(ModelVersion.name(baseline.number)), active then, on the same events:\(Self.figures(baseline.metrics))"
                )
            }
        }

        private static func figures(_ figures: [String: Double]) -> String {
            guard !figures.isEmpty else { return " none" }
            return figures.sorted { $0.key < $1.key }.map { " \($0.key)=\(text($0.value))" }.joined()
        }
    }

    struct Activate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a version into service, for all users or for a part of them.",
            discussion: """
                It is compared with the active one first, then loaded by every node, then switched to; nodes hear of it by \
                their own reads, each within a second. With --percent it serves those users beside the active one, always \
                the same of them.

                Example:
                  vireo models activate m43 --percent 10
                """
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @OptionGroup var version: Version
        @Option(help: "Of the users, 0.01..100.")
        var percent = 100.0
        @Flag(help: "However it compares with the active one.")
        var force = false
        @Flag(help: "Only compare.")
        var dryRun = false

        private var share: Int { Int((self.percent * 100).rounded()) }

        func validate() throws {
            guard self.percent.isFinite, (0.01...100).contains(self.percent) else {
                throw ValidationError("--percent must be 0.01..100")
            }
            _ = try self.version.number()
        }

        func run() async throws {
            let (number, tenant) = (try self.version.number(), try self.tenant.id())
            let outcome = try await self.options.session { session in
                try await ModelOperation(session: session).rollout.activate(
                    number,
                    share: self.share,
                    force: self.force,
                    dryRun: self.dryRun,
                    tenant: tenant
                )
            }
            let comparison =
                switch outcome.finding {
                case .passed: "it compares well enough with the one before"
                case .notCompared: "it was not compared: no figures of both on the same events"
                case .failed(let shortfall): "forced, although \(shortfall)"
                }
            if self.dryRun { return Terminal.line("\(self.version.version) would be activated; \(comparison)") }
            show(outcome.standing)
            Terminal.line(comparison)
            if !outcome.late.isEmpty {
                Terminal.error("nodes that had not loaded it in time: \(outcome.late.joined(separator: ", "))")
            }
        }
    }

    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a version out of service, for the one before it.",
            discussion: "Example:\n  vireo models rollback m43"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @OptionGroup var version: Version

        func validate() throws { _ = try self.version.number() }

        func run() async throws {
            let (number, tenant) = (try self.version.number(), try self.tenant.id())
            show(
                try await self.options.session { session in
                    try await ModelOperation(session: session).rollout.rollback(number, tenant: tenant)
                }
            )
        }
    }

    struct Retire: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give up a version that does not serve; its artifact goes when the next model is stored.",
            discussion: "Example:\n  vireo models retire m41"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @OptionGroup var version: Version

        func validate() throws { _ = try self.version.number() }

        func run() async throws {
            let (number, tenant) = (try self.version.number(), try self.tenant.id())
            _ = try await self.options.session { session in
                try await ModelOperation(session: session).rollout.retire(number, tenant: tenant)
            }
            Terminal.line("\(self.version.version) is retired")
        }
    }

    private static func show(_ standing: ModelStanding) {
        var line = standing.active.map { "\(ModelVersion.name($0)) is active" } ?? "no model is active"
        if let canary = standing.canary {
            line += ", \(ModelVersion.name(canary.number)) for \(text(canary.percent)) % of the users"
        }
        Terminal.line("\(line); a rollback returns to \(standing.previous.map(ModelVersion.name) ?? "none")")
    }

    /// Six decimals at most.
    fileprivate static func text(_ value: Double) -> String {
        let rounded = (value * 1e6).rounded() / 1e6
        return rounded == rounded.rounded() && rounded.magnitude < 1e15 ? "\(Int64(rounded))" : "\(rounded)"
    }
}
