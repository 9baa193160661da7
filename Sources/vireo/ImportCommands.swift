import App
import ArgumentParser
import RecommendationCore
import Training

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stream files into PostgreSQL; a rerun changes nothing.",
        discussion: """
            movielens and lightgcn take a folder (movies.csv and ratings.csv; train.txt), ndjson and csv a file of \
            one kind, as the HTTP API has it: item documents with item_id, user documents with user_id, consent and \
            suppressions, feedback events with occurred_at. A CSV file names its columns in the first line; lists are \
            joined by |, labels are a JSON object, suppressions are kind:key. Tracking tokens and sessions are not kept.

            Exits 0 when the import came to its end, also where lines were rejected: they are listed. With --validate \
            exits 0 when every line would be stored, and 1 where one would be rejected or comes twice.

            Example:
              vireo import ml-latest-small --format movielens
              vireo import feedback.ndjson --format ndjson --kind feedback --validate --json
            """
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Argument(help: "The folder or file.")
    var path: String
    @Option(help: "movielens, lightgcn, ndjson or csv.")
    var format: String
    @Option(help: "items, users or feedback; for ndjson and csv.")
    var kind: String?
    @Flag(name: .customLong("validate"), help: "Read everything, store nothing, and report what is wrong.")
    var onlyValidates = false
    @Option(help: "How many rejected lines are shown, 0..100.")
    var examples = 20
    @Flag(help: "Write the report as JSON.")
    var json = false

    func input() throws -> ImportInput {
        guard let format = ImportFormat(rawValue: self.format) else {
            throw ValidationError("--format must be movielens, lightgcn, ndjson or csv")
        }
        guard format.takesKind else {
            guard self.kind == nil else { throw ValidationError("--kind is for ndjson and csv only") }
            return ImportInput(path: self.path, format: format)
        }
        guard let kind = self.kind.flatMap({ DocumentKind(rawValue: $0) }) else {
            throw ValidationError("--kind must be items, users or feedback")
        }
        return ImportInput(path: self.path, format: format, kind: kind)
    }

    func validate() throws {
        _ = try self.input()
        _ = try self.tenant.id()
        guard (0...RejectedLines.kept).contains(self.examples) else {
            throw ValidationError("--examples must be 0..\(RejectedLines.kept)")
        }
    }

    func run() async throws {
        let (input, tenant) = (try self.input(), try self.tenant.id())
        let progress = Terminal.Progress()
        guard self.onlyValidates else {
            let report = try await self.options.session { session in
                try await FillOperation(session: session).importFile(input, tenant: tenant) { progress.show($0.line) }
            }
            progress.clear()
            return Reports.show(report, examples: self.examples, json: self.json)
        }
        let report = try await self.options.session { session in
            try await FillOperation(session: session).validate(input, tenant: tenant) { progress.show($0.line) }
        }
        progress.clear()
        Reports.show(report, examples: self.examples, json: self.json)
        guard report.isClean else { throw ExitCode(1) }
    }
}

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write all items, users or feedback of a tenant as NDJSON; importing it gives the same again.",
        discussion: """
            Every line has all fields in a fixed order; items and users are sorted by id, feedback by user and time. \
            Users are those with a document, without consent, or with suppressions. Of events without an id that are \
            equal in user, item, type, value and time there is one, and none of items that were deleted.

            Example:
              vireo export feedback --out feedback.ndjson
            """
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Argument(help: "items, users or feedback.")
    var kind: String
    @Option(help: "The file to write, complete or not at all; `-` is standard output.")
    var out = "-"

    func parsedKind() throws -> DocumentKind {
        guard let kind = DocumentKind(rawValue: self.kind) else {
            throw ValidationError("the kind must be items, users or feedback")
        }
        return kind
    }

    func validate() throws {
        _ = try self.parsedKind()
        _ = try self.tenant.id()
    }

    func run() async throws {
        let (kind, tenant) = (try self.parsedKind(), try self.tenant.id())
        let file = try OutputFile(path: self.out)
        let count = try await self.options.session { session in
            try await FillOperation(session: session).export(kind, tenant: tenant) { try file.write($0) }
        }
        try file.finish()
        if self.out != "-" { Terminal.error("\(count) \(kind.rawValue)") }
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
        Reports.show(report, examples: RejectedLines.kept, json: self.json)
    }
}
