import App
import ArgumentParser
import Training

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stream a file or folder of interactions into PostgreSQL; a rerun changes nothing.",
        discussion: "Example:\n  vireo import ml-latest-small --format movielens"
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The folder.")
    var path: String
    @Option(help: "movielens")
    var format: String
    @Flag(help: "Write the report as JSON.")
    var json = false

    func validate() throws {
        guard self.format == "movielens" else { throw ValidationError("--format must be movielens") }
        _ = try self.tenant.id()
    }

    func run() async throws {
        let tenant = try self.tenant.id()
        let progress = Terminal.Progress()
        let report = try await self.options.session { session in
            try await FillOperation(session: session).importFile(path: self.path, tenant: tenant) { progress.show($0.line) }
        }
        progress.clear()
        report.show(json: self.json)
    }
}

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo-data",
        abstract: "Fill the store with a synthetic catalogue; the same seed gives the same data.",
        discussion: "Example:\n  vireo demo-data --users 20000 --items 10000 --interactions 1000000 --seed 42"
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Option(help: "Users, u000001 on.")
    var users = 2_000
    @Option(help: "Items, i000001 on.")
    var items = 1_000
    @Option(help: "Interactions.")
    var interactions = 100_000
    @Option(help: "The seed.")
    var seed: UInt64 = 42
    @Flag(help: "Write the report as JSON.")
    var json = false

    func run() async throws {
        let tenant = try self.tenant.id()
        let progress = Terminal.Progress()
        let report = try await self.options.session { session in
            try await FillOperation(session: session).demoData(
                users: self.users,
                items: self.items,
                interactions: self.interactions,
                seed: self.seed,
                tenant: tenant
            ) { progress.show($0.line) }
        }
        progress.clear()
        report.show(json: self.json)
    }
}
