import App
import ArgumentParser
import Logging
import Metrics
import Observability

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve as one stateless node.",
        discussion: """
            Example:
              VIREO_POSTGRES_URL=postgresql://vireo@127.0.0.1/vireo VIREO_REDIS_URL=redis://127.0.0.1 \\
              VIREO_SIGNING_KEY_FILE=/etc/vireo/signing-keys vireo serve --http-port 8080
            """
    )

    @Option(help: "A JSON file with settings; the environment and flags are stronger.")
    var config: String?
    @Option(help: "Port of the public API.")
    var httpPort: Int?
    @Option(help: "Port of administration and operations.")
    var adminPort: Int?
    @Option(help: "The node's name in the fleet.")
    var nodeID: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: String?
    @Flag(help: "Print the effective settings, secrets masked, and end.")
    var printConfig = false

    func run() async throws {
        var flags: [SettingName: String] = [:]
        flags[.httpPort] = self.httpPort.map(String.init)
        flags[.adminPort] = self.adminPort.map(String.init)
        flags[.nodeID] = self.nodeID
        flags[.logLevel] = self.logLevel
        let sources = try await SettingSources(flags: flags, environment: Environment.current, file: self.config)
        let settings = try Settings.read(sources)
        if self.printConfig {
            for (name, value, source) in try sources.effective() { Terminal.line("\(name)=\(value)  # \(source)") }
            return
        }
        let registry = PrometheusRegistry(help: MetricHelp.texts)
        registry.addCollector(ProcessCollector().collect)
        MetricsSystem.bootstrap(registry)
        LoggingSystem.bootstrap { label in JSONLogHandler(label: label, level: settings.logLevel) }
        let log = Logger(label: "vireo")
        let node = try Node(settings: settings, registry: registry, log: log)
        try await StartCheck(settings: settings, log: log).run()
        try await node.run()
    }
}
