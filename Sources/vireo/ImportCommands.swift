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
            try await FillOperation(session: session).importFile(path: self.path, tenant: tenant) {
                progress.show($0.line)
            }
        }
        progress.clear()
        show(report, json: self.json)
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
        show(report, json: self.json)
    }
}

private func show(_ report: ImportReport, json: Bool) {
    for line in report.rejected.first { Terminal.error("rejected \(line)") }
    let untold = report.rejected.count - report.rejected.first.count
    if untold > 0 { Terminal.error("rejected \(untold) more lines") }
    guard json else { return Terminal.line(report.summary) }
    Terminal.line(
        """
        {"items":{"new":\(report.itemsNew),"changed":\(report.itemsChanged),"unchanged":\(report.itemsUnchanged)},\
        "interactions":{"stored":\(report.interactionsStored),"unchanged":\(report.interactionsUnchanged)},\
        "rejected":\(report.rejected.count),"generation":\(report.generation.map { "\($0)" } ?? "null"),\
        "seconds":\(report.seconds)}
        """
    )
}
