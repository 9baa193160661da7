import App
import ArgumentParser
import Logging
import Observability

struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Everything on this machine: private Redis and PostgreSQL, data, a model, and nodes.",
        discussion: """
            Data lies below --directory; Ctrl-C stops all of it, and a second start is warm.
            Example:
              vireo dev --nodes 2 --import ~/ml-latest-small
            """
    )

    @Option(help: "How many nodes to serve.")
    var nodes = 2
    @Option(name: .customLong("import"), help: "A MovieLens folder to import, instead of demo data.")
    var importDirectory: String?
    @Option(help: "Where everything is kept.")
    var directory = ".vireo"
    @Option(help: "Port of the first node; each further node has the next.")
    var httpPort = 8_080
    @Option(help: "Administration port of the first node.")
    var adminPort = 9_080
    @Option(help: "Demo users, for an empty database.")
    var users = 2_000
    @Option(help: "Demo items.")
    var items = 1_000
    @Option(help: "Demo interactions.")
    var interactions = 100_000
    @Flag(help: "Without keys: every call has all scopes. Loopback only.")
    var noAuth = false

    func validate() throws {
        guard (1...16).contains(self.nodes) else { throw ValidationError("--nodes must be 1..16") }
        let last = 65_535 - self.nodes
        guard (1...last).contains(self.httpPort), (1...last).contains(self.adminPort) else {
            throw ValidationError("--http-port and --admin-port must be 1..\(last)")
        }
        let span = self.nodes - 1
        guard self.httpPort + span < self.adminPort || self.adminPort + span < self.httpPort else {
            throw ValidationError("--http-port and --admin-port overlap for \(self.nodes) nodes")
        }
    }

    func run() async throws {
        LoggingSystem.bootstrap { _ in ConsoleLogHandler(level: .warning) }
        var options = DevEnvironment.Options()
        options.directory = self.directory
        options.nodes = self.nodes
        options.importDirectory = self.importDirectory
        options.users = self.users
        options.items = self.items
        options.interactions = self.interactions
        options.httpPort = self.httpPort
        options.adminPort = self.adminPort
        options.authentication = !self.noAuth
        let environment = DevEnvironment(options: options, log: Logger(label: "vireo")) { Terminal.line($0) }
        try await Signals.cancellingOnStop { try await environment.run() }
    }
}
