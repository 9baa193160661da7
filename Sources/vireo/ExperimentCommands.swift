import App
import ArgumentParser
import RecommendationCore

struct ExperimentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "experiment",
        abstract: "Experiments: users of a surface in parts, and which part does best.",
        subcommands: [Start.self, List.self, Results.self, Variants.self, Stop.self]
    )

    private static let path = "/v1/admin/experiments"

    /// The experiment a command is about.
    struct Name: ParsableArguments {
        @Argument(help: "The experiment's id; 1 to 64 of A-Za-z0-9._-.")
        var experiment: String

        func validate() throws {
            guard PlainName.isValid(self.experiment) else {
                throw ValidationError("the experiment must be \(PlainName.allowed)")
            }
        }
    }

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start the experiment of a document on every node.",
            discussion: "Example:\n  vireo experiment start e1.json"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @Argument(help: "The JSON document; `-` is standard input.")
        var file: String

        func run() async throws {
            let document = try InputFile.contents(of: self.file)
            try await change("POST", path, document, self.options, self.waiting) { change in
                "\(change.id) runs on \(change.surface), \(spread(propagated: change.propagated, complete: change.complete)); "
                    + "\(change.required_per_variant) users of each variant are needed for a verdict"
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "List the experiments: id, state, surface, layer, part of the users, variants with their weights.",
            discussion: "Example:\n  vireo experiment list"
        )

        @OptionGroup var options: AdminOptions

        func run() async throws {
            try await self.options.run("GET", path, as: AdminDocuments.Experiments.self) { list in
                for experiment in list.experiments {
                    let variants = experiment.variants.map { "\($0.name)=\(percent($0.weight))" }.joined(separator: ",")
                    Terminal.line(
                        "\(experiment.id)\t\(experiment.state)\t\(experiment.surface)\t\(experiment.layer)\t\(percent(experiment.percent)) %\t\(variants)"
                    )
                }
            }
        }
    }

    struct Results: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what was counted of an experiment, and what that says.",
            discussion: "Example:\n  vireo experiment results e1 --json"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var name: Name

        func run() async throws {
            let target = "\(path)/\(self.name.experiment)/results"
            try await self.options.run("GET", target, as: AdminDocuments.ExperimentResults.self) { results in
                for variant in results.variants {
                    func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "-" }
                    Terminal.line(
                        "\(variant.name)\t\(variant.conversions) of \(variant.exposures) users\trate \(text(variant.rate))\t"
                            + "lift \(text(variant.lift))\tp \(text(variant.p_value))\tbest \(text(variant.p_best))"
                    )
                }
                Terminal.line("\(results.verdict); \(results.required_per_variant) users of each variant are needed")
            }
        }
    }

    struct Variants: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give an experiment other weights, or further variants; who has a variant keeps it.",
            discussion:
                "Example:\n  echo '{\"variants\":[{\"name\":\"a\",\"weight\":20},{\"name\":\"b\",\"weight\":80,\"policy\":\"p8\"}]}' | vireo experiment variants e1 -"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @OptionGroup var name: Name
        @Argument(help: "The JSON document with all variants; `-` is standard input.")
        var file: String

        func run() async throws {
            let document = try InputFile.contents(of: self.file)
            let target = "\(path)/\(self.name.experiment)/variants"
            try await change("PUT", target, document, self.options, self.waiting) { change in
                let variants = change.variants.map { "\($0.name)=\(percent($0.weight))" }.joined(separator: ", ")
                return "\(change.id): \(variants), \(spread(propagated: change.propagated, complete: change.complete))"
            }
        }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End an experiment on every node; its results stay.",
            discussion: "Example:\n  vireo experiment stop e1"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @OptionGroup var name: Name

        func run() async throws {
            let target = "\(path)/\(self.name.experiment):stop"
            try await change("POST", target, nil, self.options, self.waiting) { change in
                "\(change.id) is stopped, \(spread(propagated: change.propagated, complete: change.complete))"
            }
        }
    }

    /// In percent, a whole number without a point.
    private static func percent(_ number: Double) -> String {
        number == number.rounded() && number.magnitude < 1e6 ? String(Int(number)) : "\(number)"
    }

    /// Calls for a change that nodes follow, and says it in one line.
    private static func change(
        _ method: String,
        _ target: String,
        _ document: [UInt8]?,
        _ options: AdminOptions,
        _ waiting: WaitOption,
        _ text: (AdminDocuments.ExperimentChange) -> String
    ) async throws {
        let client = try await options.client()
        let answer = try await client.call(method, target + waiting.query, body: document)
        let change = try client.decode(answer, as: AdminDocuments.ExperimentChange.self)
        Terminal.line(options.json ? String(decoding: answer, as: UTF8.self) : text(change))
        try waiting.check(change.complete)
    }
}
