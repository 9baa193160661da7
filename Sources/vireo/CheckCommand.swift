import App
import ArgumentParser
import CoherenceCheck
import FoundationEssentials
import LoadClient
import Synchronization

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that no node of a running fleet serves what a write has made wrong.",
        discussion: """
            Over HTTP alone: users are written on one node and read on all of them, and every list is judged by what it holds,
            not by the versions it declares. What was bought, suppressed, hidden or denied may be in no list whose request began
            later than the acknowledgement and the bound; on the node that took the write of a user, and for a reader who names
            its version, in none that began later than the acknowledgement.
            Kinds of writes, and what they leave behind:
              purchase     stored events of users
              suppression  nothing: it is taken back
              consent      nothing; a user is without personalisation for two bounds
              reset        the history of users whose list is nearly empty IS GONE
              erasure      everything that was known of some users IS GONE
              hidden       nothing; an item is hidden from everybody for two bounds
              stock        nothing; an item is out of stock for two bounds
              tombstone    nothing; an item is denied to everybody for two bounds; needs --admin-urls or VIREO_ADMIN_URL
              purge        empty caches, every few seconds; needs --admin-urls or VIREO_ADMIN_URL, too
            A purchase without an answer is sent again to another node, as clients do. After a purge no list may say that it was
            computed before. No two answers may have one recommendation_id.
            Nobody else may write the users and items meanwhile, or what is taken back by others counts as a violation.
            The policy must leave out what was seen (seen_filter). The key comes from VIREO_API_KEY; it needs the rights read and
            write, and admin for tombstones and purges.
            Ends with 0 where no violation was found, 1 where one was or too little was judged to say so. Ctrl-C ends a run with
            the result so far, when everything is taken back.
            Example:
              . .vireo/keys; export VIREO_API_KEY=$APP_KEY
              vireo check --nodes http://127.0.0.1:8080,http://127.0.0.1:8081 --users 2000 --duration 30
            """
    )

    @Option(help: "The nodes, separated by commas.")
    var nodes = "http://127.0.0.1:8080"
    @Option(
        name: .customLong("admin-urls"),
        help: "Their admin APIs, separated by commas, in the order of the nodes; else VIREO_ADMIN_URL."
    )
    var adminURLs: String?
    @Option(help: "How many users there are.")
    var users = 2_000
    @Option(help: "Their ids.")
    var userFormat = "u%06d"
    @Option(help: "A file with the ids of users, one a line, the most active first; instead of --users.")
    var usersFile: String?
    @Option(help: "The exponent of Zipf's law, by which users are drawn.")
    var zipf = 1.0
    @Option(help: "Seconds until the last write begins.")
    var duration = 30.0
    @Option(help: "How many users have a write that is followed, at once.")
    var writers = 64
    @Option(help: "How many read on their own account, each 20 times a second at most.")
    var readers = 8
    @Option(help: "What is written, separated by commas.")
    var kinds = "purchase,suppression"
    @Option(help: "Seconds that other nodes may lag behind: the freshness lease, VIREO_LEASE_MS.")
    var bound = 1.0
    @Option(
        help:
            "Seconds within which the relay passes, to judge writes that say they are not propagated; else they are not."
    )
    var relayBound: Double?
    @Option(help: "Items in a list, 1..100.")
    var limit = 20
    @Option(help: "The same seed draws the same users in the same order.")
    var seed: UInt64 = 42
    @Option(help: "Seconds until an answer is given up.")
    var timeout = 5.0
    @Option(help: "With fewer judged pairs the run fails.")
    var minPairs = 100
    @Flag(help: "Write the result as JSON.")
    var json = false

    func validate() throws {
        guard self.addresses(self.nodes) != nil else {
            throw ValidationError("--nodes must be \(Address.allowed), separated by commas")
        }
        if let adminURLs, self.addresses(adminURLs) == nil {
            throw ValidationError("--admin-urls must be \(Address.allowed), separated by commas")
        }
        guard (1...10_000_000).contains(self.users) else { throw ValidationError("--users must be 1..10000000") }
        guard IDFormat(self.userFormat) != nil else {
            throw ValidationError("--user-format must be \(IDFormat.allowed)")
        }
        guard (0.0...10).contains(self.zipf) else { throw ValidationError("--zipf must be 0..10") }
        guard (0.1...86_400).contains(self.duration) else { throw ValidationError("--duration must be 0.1..86400") }
        guard (1...2_000).contains(self.writers) else { throw ValidationError("--writers must be 1..2000") }
        guard (0...1_000).contains(self.readers) else { throw ValidationError("--readers must be 0..1000") }
        guard (0.001...300).contains(self.bound) else { throw ValidationError("--bound must be 0.001..300") }
        guard self.relayBound.map((0...300).contains) ?? true else {
            throw ValidationError("--relay-bound must be 0..300")
        }
        guard (1...100).contains(self.limit) else { throw ValidationError("--limit must be 1..100") }
        guard (0.001...60).contains(self.timeout) else { throw ValidationError("--timeout must be 0.001..60") }
        guard self.minPairs >= 1 else { throw ValidationError("--min-pairs must be 1 or more") }
        guard let kinds = self.writeKinds, kinds.contains(where: { $0 != .reset }) else {
            let allowed = WriteKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--kinds must be some of \(allowed), separated by commas; reset not alone")
        }
    }

    func run() async throws {
        let options = try await self.options()
        for address in options.nodes + options.admins where !address.isLoopback {
            Terminal.error("vireo check: warning: \(address) is not this machine; its users are written")
        }
        let finished = Mutex<CheckReport?>(nil)
        let progress = Mutex(Terminal.Progress())
        try await Signals.cancellingOnStop {
            let report = try await CheckRun(options).run { state in
                progress.withLock { $0.show(state.line) }
            }
            finished.withLock { $0 = report }
        }
        progress.withLock { $0.clear() }
        guard let report = finished.withLock({ $0 }) else { throw ExitCode(1) }
        for line in self.json ? [report.json] : report.lines { Terminal.line(line) }
        guard report.faults.isEmpty else {
            Terminal.error("vireo check: \(report.faults.joined(separator: "; "))")
            throw ExitCode(1)
        }
    }

    private func options() async throws -> CheckOptions {
        let sources = try await SettingSources(environment: Environment.current)
        _ = try Settings.read(sources)
        var options = CheckOptions(
            nodes: self.addresses(self.nodes) ?? [],
            users: try self.population(),
            duration: Self.duration(self.duration)
        )
        options.kinds = self.writeKinds ?? []
        options.exponent = self.zipf
        options.writers = self.writers
        options.readers = self.readers
        options.bound = Self.duration(self.bound)
        options.relay = self.relayBound.map(Self.duration)
        options.limit = self.limit
        options.seed = self.seed
        options.timeout = Self.duration(self.timeout)
        options.minimumPairs = self.minPairs
        options.key = try sources.string(.apiKey)?.value
        if let key = options.key, !key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            throw SettingsError.invalid(.apiKey, source: "environment", allowed: "a key as vireo keys create prints it")
        }
        guard let kind = options.kinds.first(where: \.isOfAdministration) else { return options }
        if let adminURLs {
            options.admins = self.addresses(adminURLs) ?? []
        } else if let (url, source) = try sources.string(.adminURL) {
            guard let admin = Address(url) else {
                throw SettingsError.invalid(.adminURL, source: source, allowed: Address.allowed)
            }
            options.admins = [admin]
        } else {
            throw ValidationError("--kinds \(kind.rawValue) needs --admin-urls or VIREO_ADMIN_URL")
        }
        return options
    }

    private var writeKinds: [WriteKind]? {
        let words = self.kinds.split(separator: ",", omittingEmptySubsequences: false)
        let kinds = words.compactMap { WriteKind(rawValue: String($0)) }
        return kinds.count == words.count && Set(kinds).count == kinds.count ? kinds : nil
    }

    private func addresses(_ text: String) -> [Address]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let addresses = parts.compactMap { Address(String($0)) }
        return addresses.count == parts.count ? addresses : nil
    }

    private func population() throws -> CheckOptions.Users {
        guard let usersFile else { return .numbered(IDFormat(self.userFormat)!, count: self.users) }
        guard let bytes = FileManager.default.contents(atPath: usersFile),
            let text = String(validating: bytes, as: UTF8.self)
        else { throw ValidationError("--users-file must be a file of UTF-8; \(usersFile) is not") }
        let ids = text.split(separator: "\n").map(String.init)
        guard let longest = ids.map(\.utf8.count).max(), longest <= 128 else {
            throw ValidationError("--users-file must have an id of 1 to 128 bytes on each line")
        }
        return .listed(ids)
    }

    private static func duration(_ seconds: Double) -> Duration { .microseconds(Int64(seconds * 1_000_000)) }
}

extension CheckProgress {
    /// One line for a person.
    fileprivate var line: String {
        let (seconds, end) = (Int(self.elapsed / .seconds(1)), Int(self.duration / .seconds(1)))
        let errors = self.errors > 0 ? ", \(self.errors) errors" : ""
        return "\(seconds) of \(end) s: \(self.writes) writes, \(self.pairs) pairs judged, "
            + "\(self.violations) violations\(errors)"
    }
}
