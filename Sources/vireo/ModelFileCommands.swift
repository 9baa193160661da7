import App
import ArgumentParser
import RecommendationCore
import Training

extension Models {
    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a model version of neighbours or factors that were made elsewhere.",
            discussion: """
                tsv takes item<TAB>neighbour<TAB>weight, ndjson {"item":"i1","neighbour":"i2","weight":0.5}, an edge a line. \
                npy takes a matrix of float32 or float64 as NumPy's save writes it, a row an item, and in --ids a file with \
                the item of each row, a line each; the neighbours are the most similar others. Popularity, content and \
                trends are fitted from the store. Lines that are rejected are listed and left out, with --strict nothing is \
                stored then; the version is stored whole, as ready, or not at all. No schedule replaces an imported model. \
                With --validate exits 1 where a line would be rejected.

                Example:
                  vireo models import neighbours.tsv --format tsv --activate
                  vireo models import item_factors.npy --format npy --ids items.txt --similarity cosine
                """
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @Argument(help: "The file.")
        var path: String
        @Option(help: "tsv, ndjson or npy.")
        var format: String
        @Option(help: "For npy: a file with the item of each row, a line each.")
        var ids: String?
        @Option(help: "For npy: dot (inner product) or cosine.")
        var similarity: String?
        @Option(help: "Neighbours of an item, 1..\(ModelImporter.maximumNeighbours).")
        var neighbours = 100
        @Flag(help: "Store nothing where a line is rejected.")
        var strict = false
        @Flag(name: .customLong("validate"), help: "Read everything, store nothing, and report what is wrong.")
        var onlyValidates = false
        @Flag(help: "Put it into service once every node has loaded it.")
        var activate = false
        @Option(help: "How many rejected lines are shown, 0..100.")
        var examples = 20
        @Flag(help: "Write the report as JSON.")
        var json = false

        func source() throws -> ModelImporter.Source {
            guard self.format == "npy" else {
                guard self.ids == nil, self.similarity == nil else {
                    throw ValidationError("--ids and --similarity are for npy only")
                }
                guard self.format == "tsv" || self.format == "ndjson" else {
                    throw ValidationError("--format must be tsv, ndjson or npy")
                }
                return .neighbours(path: self.path, isJSON: self.format == "ndjson")
            }
            guard let ids else { throw ValidationError("npy needs --ids") }
            guard let similarity = ModelImporter.similarity(named: self.similarity ?? "dot") else {
                throw ValidationError("--similarity must be dot or cosine")
            }
            return .factors(path: self.path, ids: ids, similarity)
        }

        func validate() throws {
            _ = try self.source()
            _ = try self.tenant.id()
            guard (1...ModelImporter.maximumNeighbours).contains(self.neighbours) else {
                throw ValidationError("--neighbours must be 1..\(ModelImporter.maximumNeighbours)")
            }
            guard (0...RejectedLines.kept).contains(self.examples) else {
                throw ValidationError("--examples must be 0..\(RejectedLines.kept)")
            }
            guard !self.onlyValidates || !self.activate else {
                throw ValidationError("--validate stores nothing that could be activated")
            }
        }

        func run() async throws {
            let tenant = try self.tenant.id()
            let order = ModelImporter.Order(
                source: try self.source(),
                neighbours: self.neighbours,
                isStrict: self.strict,
                onlyValidates: self.onlyValidates
            )
            let (report, activation) = try await self.options.session { session in
                let operation = ModelOperation(session: session)
                let report = try await operation.bring(order, tenant: tenant)
                guard self.activate, let number = report.version?.number else {
                    return (report, nil as ModelRollout.Outcome?)
                }
                return (report, try await operation.rollout.activate(number, tenant: tenant))
            }
            self.show(report, isActive: activation != nil)
            // As an import of events does.
            guard !self.onlyValidates || report.rejected.count == 0 else { throw ExitCode(1) }
        }

        private func show(_ report: ModelImporter.Report, isActive: Bool) {
            let name = report.version.map { ModelVersion.name($0.number) }
            if self.json {
                let reasons = report.rejected.reasons.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
                Terminal.line(
                    """
                    {"version":\(name.map { "\"\($0)\"" } ?? "null"),"active":\(isActive),"lines":\(report.lines),\
                    "edges":\(report.edges),"items":\(report.items),"rejected":\(report.rejected.count),\
                    "unknown_items":\(report.unknownItems),"reasons":{\(reasons.joined(separator: ","))}}
                    """
                )
            } else {
                let state = name.map { "\($0) is \(isActive ? "active" : "ready")" } ?? "nothing is stored"
                Terminal.line(
                    "\(state): \(report.edges) neighbours of \(report.items) items from \(report.lines) lines, "
                        + "\(report.rejected.count) rejected, \(report.unknownItems) unknown items"
                )
            }
            for line in report.rejected.first.prefix(self.examples) { Terminal.error("\(line)") }
            let others = report.rejected.count - min(report.rejected.count, self.examples, RejectedLines.kept)
            if others > 0 { Terminal.error("and \(others) more") }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the neighbour lists of a version; importing them gives the same lists again.",
            discussion: "Example:\n  vireo models export m42 --format tsv --out neighbours.tsv"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @OptionGroup var version: Version
        @Option(help: "tsv or ndjson.")
        var format = "tsv"
        @Option(help: "The file to write, complete or not at all; `-` is standard output.")
        var out = "-"

        func validate() throws {
            _ = try self.version.number()
            _ = try self.tenant.id()
            guard self.format == "tsv" || self.format == "ndjson" else {
                throw ValidationError("--format must be tsv or ndjson")
            }
        }

        func run() async throws {
            let (number, tenant) = (try self.version.number(), try self.tenant.id())
            let file = try OutputFile(path: self.out)
            let count = try await self.options.session { session in
                try await ModelOperation(session: session).export(
                    number,
                    isJSON: self.format == "ndjson",
                    tenant: tenant
                ) { try file.write($0) }
            }
            try file.finish()
            if self.out != "-" { Terminal.error("\(count) neighbours") }
        }
    }
}
