import App
import ArgumentParser
import RecommendationCore
import RecommendationEngine

struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Judge lists: of models by a test file, or of recipes by the last part of the data.",
        discussion: """
            Example:
              vireo evaluate --test test.txt --at 20
              vireo evaluate --test test.txt --model m3 --model m4
              vireo evaluate --backtest --recipe product --recipe cosine

            Coverage, diversity (one less the mean cosine of two items of a list), novelty (bits) and popularity bias (1 is \
            none) are of the lists themselves. A user is cold below 5 events, heavy from 50.
            """
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Option(help: "A file of lines `user item item ...`; `-` is standard input. Users must not have these items yet.")
    var test: String?
    @Option(help: "A model for --test, imported or not; may be repeated. Without one: the active model.")
    var model: [String] = []
    @Flag(help: "Fit recipes on the first part of the interactions by time, and judge them by the rest.")
    var backtest = false
    @Option(help: "How much comes first in a back-test, 0.1 to 0.99.")
    var share = 0.8
    @Option(help: "A recipe of a back-test; may be repeated. Without one: the active model's.")
    var recipe: [String] = []
    @Option(help: "Ranks that count.")
    var at = 20
    @Flag(help: "Write JSON.")
    var json = false

    func validate() throws {
        guard (self.test == nil) == self.backtest else { throw ValidationError("give --test FILE or --backtest") }
        guard (1...1_000).contains(self.at) else { throw ValidationError("--at must be 1..1000") }
        guard (0.1...0.99).contains(self.share) else { throw ValidationError("--share must be 0.1..0.99") }
        guard self.recipe.isEmpty || self.backtest else { throw ValidationError("--recipe goes with --backtest") }
        guard self.model.isEmpty || !self.backtest else { throw ValidationError("--model goes with --test") }
        _ = try self.models()
        _ = try self.recipes()
        _ = try self.tenant.id()
    }

    private func models() throws -> [ModelVersion.Number] {
        try self.model.map { name in
            guard let number = ModelVersion.number(name) else {
                throw ValidationError("--model must be a version, for example m3")
            }
            return number
        }
    }

    private func recipes() throws -> [Recipe] {
        try self.recipe.map { name in
            guard let recipe = Recipe(named: name) else {
                throw ValidationError("--recipe must be one of \(Recipe.names.joined(separator: ", "))")
            }
            return recipe
        }
    }

    func run() async throws {
        let tenant = try self.tenant.id()
        let recipes = try self.recipes()
        let models = try self.models()
        let test = try self.test.map(Self.users)
        let outcomes = try await self.options.session { session in
            let operation = EvaluateOperation(session: session)
            if let test {
                return try await operation.run(tenant: tenant, test: test, models: models, cutoff: self.at)
            }
            return try await operation.backtest(tenant: tenant, recipes: recipes, share: self.share, cutoff: self.at)
        }
        for outcome in outcomes {
            Terminal.line(self.json ? ListReports.json(outcome) : ListReports.table(outcome))
        }
    }

    private static func users(in path: String) throws -> [(user: User.ID, items: [Item.ID])] {
        try InputFile.lines(of: path).enumerated().map { index, line in
            let words = line.split { $0 == " " || $0 == "\t" }
            do {
                guard let user = words.first else { throw ValidationError("\(path), line \(index + 1): no user") }
                return (
                    try User.ID(validating: String(user)),
                    try words.dropFirst().map { try Item.ID(validating: String($0)) }
                )
            } catch is IdentifierError {
                throw ValidationError("\(path), line \(index + 1): an id must be \(IdentifierError.allowed)")
            }
        }
    }
}

/// What an evaluation found, for programs and for people.
enum ListReports {
    static func json(_ outcome: EvaluateOperation.Outcome) -> String {
        let report = outcome.report
        let model = outcome.model.map { "\"\($0)\"" } ?? "null"
        let segments = report.segments.map { "\"\($0.segment.rawValue)\":{\(Self.members($0.figures))}" }
        return """
            {"model":\(model),"recipe":"\(outcome.recipe)","at":\(report.cutoff),\(Self.members(report.all)),\
            "segments":{\(segments.joined(separator: ","))}}
            """
    }

    static func table(_ outcome: EvaluateOperation.Outcome) -> String {
        let report = outcome.report
        let columns = [("all", report.all)] + report.segments.map { ($0.segment.rawValue, $0.figures) }
        var lines = ["\(outcome.model.map { "\($0), " } ?? "")\(outcome.recipe), at \(report.cutoff)"]
        lines.append(Self.row("", columns.map(\.0)))
        lines.append(Self.row("users", columns.map { "\($0.1.users)" }))
        for (index, name) in report.all.named.map(\.name).enumerated() {
            lines.append(Self.row(name, columns.map { Self.rounded($0.1.named[index].value) }))
        }
        return lines.joined(separator: "\n")
    }

    private static func members(_ figures: ListReport.Figures) -> String {
        let values = figures.named.map { "\"\($0.name)\":\($0.value.map { "\($0)" } ?? "null")" }
        return "\"users\":\(figures.users),\(values.joined(separator: ","))"
    }

    private static func row(_ name: String, _ values: [String]) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        let title = name + String(repeating: " ", count: max(0, 16 - name.count))
        return title + values.map { padded($0, 10) }.joined()
    }

    /// Four places.
    private static func rounded(_ value: Double?) -> String {
        guard let value else { return "-" }
        let scaled = Int((value.magnitude * 10_000).rounded())
        let digits = String(scaled % 10_000)
        let fraction = String(repeating: "0", count: 4 - digits.count) + digits
        return "\(value < 0 ? "-" : "")\(scaled / 10_000).\(fraction)"
    }
}
