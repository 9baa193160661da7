import App
import ArgumentParser
import FoundationEssentials
import LoadClient
import LoadTest
import Synchronization

struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask nodes for lists at a constant rate, and say how long they took.",
        discussion: """
            Requests become due by the clock alone, whatever the server does, and latency counts from then: a second of
            standstill is seen by all that were due in it. The key comes from VIREO_API_KEY.
            Scenarios: \(Scenario.builtIn.map(\.name).joined(separator: ", ")), or a file like those (--show NAME).
            mix and stampede store events. Ctrl-C ends a run with the result so far.
            A file is a JSON object:
              name, description
              users     {"order": "uniform|zipf|sequential|first", "exponent": 1.0, "once": false}
              prepare   {"purge": "SURFACE", "passes": 2, "at": "every|first"}   before the clock starts
              choices   {"NAME": ["VALUE", ...]}   one is drawn for each request
              requests  [{"weight": 99, "method": "GET", "path": "/v1/...", "body": ...}]
              every     [{"ms": 500, "method": "POST", "path": "/v1/...", "body": ...}]   with clocks of their own
            In paths and bodies {user}, {item}, {event} (an id that no other request has) and {NAME} are filled in.
            Example:
              . .vireo/keys; export VIREO_API_KEY=$APP_KEY
              vireo load --url http://127.0.0.1:8080 --url http://127.0.0.1:8081 --scenario mix --rate 1000 --duration 30
            """
    )

    @Option(name: .customLong("url"), help: "A node; several take turns.")
    var urls: [String] = ["http://127.0.0.1:8080"]
    @Option(help: "Requests per second, over all nodes.")
    var rate = 500.0
    @Option(help: "Seconds.")
    var duration = 10.0
    @Option(help: "Connections, over all nodes.")
    var connections = 64
    @Option(help: "How many users there are.")
    var users = 2_000
    @Option(help: "Their ids.")
    var userFormat = "u%06d"
    @Option(help: "How many items there are.")
    var items = 1_000
    @Option(help: "Their ids.")
    var itemFormat = "i%06d"
    @Option(help: "The same seed asks for the same in the same order.")
    var seed: UInt64 = 42
    @Option(help: "The exponent of Zipf's law, instead of the scenario's.")
    var zipf: Double?
    @Option(help: "A scenario's name, or a file.")
    var scenario = "warm"
    @Option(help: "Print the document of a built-in scenario, and end.")
    var show: String?
    @Option(help: "Seconds until an answer is given up.")
    var timeout = 10.0
    @Flag(help: "Write the result as JSON.")
    var json = false

    func validate() throws {
        guard (0.1...500_000).contains(self.rate) else { throw ValidationError("--rate must be 0.1..500000") }
        guard (0.1...3_600).contains(self.duration) else { throw ValidationError("--duration must be 0.1..3600") }
        guard (0.001...60).contains(self.timeout) else { throw ValidationError("--timeout must be 0.001..60") }
        guard (1...10_000).contains(self.connections) else { throw ValidationError("--connections must be 1..10000") }
        guard self.connections >= self.urls.count else {
            throw ValidationError("--connections must be one for each --url or more")
        }
        for (name, count) in [("users", self.users), ("items", self.items)] {
            guard (1...10_000_000).contains(count) else { throw ValidationError("--\(name) must be 1..10000000") }
        }
        guard self.zipf.map((0.0...10).contains) ?? true else { throw ValidationError("--zipf must be 0..10") }
        for url in self.urls where Address(url) == nil { throw ValidationError("--url must be \(Address.allowed)") }
        for (name, format) in [("user", self.userFormat), ("item", self.itemFormat)] where IDFormat(format) == nil {
            throw ValidationError("--\(name)-format must be \(IDFormat.allowed)")
        }
        if let show, !Scenario.builtIn.contains(where: { $0.name == show }) { throw Self.unknownScenario(show) }
    }

    func run() async throws {
        if let show, let found = Scenario.builtIn.first(where: { $0.name == show }) {
            return Terminal.line(String(decoding: found.json, as: UTF8.self).trimmingSuffix("\n"))
        }
        let options = try await self.options()
        for address in options.addresses where !address.isLoopback {
            Terminal.error(
                "vireo load: warning: \(address) is not this machine; "
                    + "it gets \(self.rate) requests/s for \(self.duration) s"
            )
        }
        let finished = Mutex<LoadReport?>(nil)
        let progress = Mutex(Terminal.Progress())
        try await Signals.cancellingOnStop {
            let report = try await LoadRun(options).run { state in
                progress.withLock { $0.show(state.line) }
            }
            finished.withLock { $0 = report }
        }
        progress.withLock { $0.clear() }
        guard let report = finished.withLock({ $0 }) else { return }
        for line in self.json ? [report.json] : report.lines { Terminal.line(line) }
        // A wrong key, a wrong address: nothing was measured.
        if report.recorder.completed == 0, !report.isInterrupted { throw ExitCode(1) }
    }

    private func options() async throws -> LoadRun.Options {
        let sources = try await SettingSources(environment: Environment.current)
        _ = try Settings.read(sources)
        var options = LoadRun.Options(
            addresses: self.urls.compactMap { Address($0) },
            scenario: try self.readScenario(),
            population: Population(
                users: self.users,
                userFormat: IDFormat(self.userFormat)!,
                items: self.items,
                itemFormat: IDFormat(self.itemFormat)!
            ),
            rate: self.rate,
            duration: .microseconds(Int64(self.duration * 1_000_000)),
            connections: self.connections,
            seed: self.seed
        )
        options.timeout = .microseconds(Int64(self.timeout * 1_000_000))
        options.key = try sources.string(.apiKey)?.value
        if let key = options.key, !key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            throw SettingsError.invalid(.apiKey, source: "environment", allowed: "a key as vireo keys create prints it")
        }
        if let (url, source) = try sources.string(.adminURL) {
            guard let admin = Address(url) else {
                throw SettingsError.invalid(.adminURL, source: source, allowed: Address.allowed)
            }
            options.admin = admin
        }
        return options
    }

    private func readScenario() throws -> Scenario {
        var scenario: Scenario
        if let builtIn = try Scenario.builtIn(self.scenario) {
            scenario = builtIn
        } else if let json = FileManager.default.contents(atPath: self.scenario) {
            scenario = try Scenario(json: json)
        } else {
            throw Self.unknownScenario(self.scenario)
        }
        if let zipf { scenario.exponent = zipf }
        return scenario
    }

    private static func unknownScenario(_ name: String) -> ValidationError {
        let names = Scenario.builtIn.map(\.name).joined(separator: "|")
        return ValidationError("there is no scenario \(name); it must be \(names) or a file")
    }
}

extension LoadProgress {
    /// One line for a person.
    fileprivate var line: String {
        let seconds = Int(self.elapsed / .seconds(1))
        if self.isPreparation { return "preparing: \(self.completed) of \(self.requests) answers, \(seconds) s" }
        let rate = self.elapsed > .zero ? Int(Double(self.completed) / (self.elapsed / .seconds(1))) : 0
        let tail = [self.p50, self.p99].map { ($0 / .microseconds(10)).rounded() / 100 }
        let failed = self.failed > 0 ? ", \(self.failed) failed" : ""
        let waiting = self.waiting > 0 ? ", \(self.waiting) waiting" : ""
        return "\(seconds) of \(Int(self.duration / .seconds(1))) s: \(self.completed) answers, \(rate)/s"
            + "\(failed)\(waiting); p50 \(tail[0]) ms, p99 \(tail[1]) ms"
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        self.hasSuffix(suffix) ? String(self.dropLast(suffix.count)) : self
    }
}
