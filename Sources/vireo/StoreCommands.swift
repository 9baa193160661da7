import App
import ArgumentParser
import Glibc
import RecommendationCore

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Apply the migrations that are pending.",
        discussion: "Example:\n  vireo migrate --dry-run"
    )

    @OptionGroup var options: StoreOptions
    @Flag(help: "Only say what is pending.")
    var dryRun = false

    func run() async throws {
        let report = try await self.options.session { try await $0.migrate(dryRun: self.dryRun) }
        for name in report.pending { Terminal.line("pending \(name)") }
        for name in report.applied { Terminal.line("applied \(name)") }
        for name in report.ahead { Terminal.line("ahead \(name): of a newer program") }
        if report.pending.isEmpty, report.applied.isEmpty { Terminal.line("up to date") }
    }
}

/// A file that cannot be read or written.
struct FileError: Error, CustomStringConvertible {
    let path: String
    /// As it was when this was made: by the time that somebody reads it, it is another call's.
    private let code = errno

    init(path: String) { self.path = path }

    var description: String { "cannot use \(self.path): \(String(cString: strerror(self.code)))" }
}

/// How often a key may be used.
struct RateOptions: ParsableArguments {
    @Option(help: "Calls a second on all nodes together, 1 to 1000000; a batch is one.")
    var rate: Int?
    @Option(help: "Calls at once, 1 to 1000000; the rate where it is left out.")
    var burst: Int?

    func limit() throws -> RateLimit? {
        guard let rate else {
            guard self.burst == nil else { throw ValidationError("--burst goes with --rate") }
            return nil
        }
        guard let limit = RateLimit(rate: rate, burst: self.burst ?? rate) else {
            throw ValidationError("--rate and --burst are numbers from 1 to 1000000")
        }
        return limit
    }
}

struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "API keys.",
        subcommands: [Create.self, List.self, Limit.self, Revoke.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key; its secret is printed once and stored as a hash.",
            discussion: "Example:\n  vireo keys create --tenant shop --scopes read,write --rate 100 --burst 200"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @Option(help: "read, write, admin; joined by commas.")
        var scopes = "read,write"
        @OptionGroup var rates: RateOptions

        func parsedScopes() throws -> Set<Scope> {
            let names = self.scopes.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return Set(
                try names.map { name in
                    guard let scope = Scope(rawValue: name) else {
                        throw ValidationError("--scopes must be some of read,write,admin, joined by commas")
                    }
                    return scope
                }
            )
        }

        func validate() throws {
            _ = try self.parsedScopes()
            _ = try self.tenant.id()
            _ = try self.rates.limit()
        }

        func run() async throws {
            let tenant = try self.tenant.id()
            let scopes = try self.parsedScopes()
            let limit = try self.rates.limit()
            let (id, secret) = try await self.options.session { session in
                try await KeyOperation(keys: session.keys).create(tenant: tenant, scopes: scopes, limit: limit)
            }
            Terminal.error("key \(id); the secret is shown this once:")
            Terminal.line(secret)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the keys that are not revoked.",
            discussion: "Example:\n  vireo keys list"
        )

        @OptionGroup var options: StoreOptions

        func run() async throws {
            for key in try await self.options.session({ try await $0.keys.keys() }) {
                let scopes = key.scopes.map(\.rawValue).sorted().joined(separator: ",")
                let limit = key.limit.map { "\($0.rate)/s, \($0.burst) at once" } ?? "-"
                Terminal.line("\(key.id)\t\(key.tenant)\t\(scopes)\t\(key.createdAt.rfc3339)\t\(limit)")
            }
        }
    }

    struct Limit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Limit how often a key may be used; on every node within the freshness lease and a second.",
            discussion: "Example:\n  vireo keys limit 8f3kQ2mXb1Lz --rate 100 --burst 200"
        )

        @OptionGroup var options: StoreOptions
        @Argument(help: "The key's id, as listed.")
        var id: String
        @OptionGroup var rates: RateOptions
        @Flag(help: "As often as may be.")
        var none = false

        func validate() throws {
            guard (try self.rates.limit() == nil) == self.none else {
                throw ValidationError("give --rate and --burst, or --none")
            }
        }

        func run() async throws {
            let limit = try self.rates.limit()
            guard try await self.options.session({ try await $0.keys.limit(self.id, to: limit) }) else {
                throw RepositoryError.conflict("no such key, or it is revoked")
            }
            Terminal.line(limit.map { "\($0.rate) a second, \($0.burst) at once" } ?? "not limited")
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a key, on every node within the freshness lease and a second.",
            discussion: "Example:\n  vireo keys revoke 8f3kQ2mXb1Lz"
        )

        @OptionGroup var options: StoreOptions
        @Argument(help: "The key's id, as listed.")
        var id: String

        func run() async throws {
            guard try await self.options.session({ try await $0.keys.revoke(self.id) }) else {
                throw RepositoryError.conflict("no such key, or it is revoked already")
            }
            Terminal.line("revoked")
        }
    }
}

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what is wrong with connections, versions, settings, migrations, clock, limits.",
        discussion: "Example:\n  vireo doctor"
    )

    @OptionGroup var options: StoreOptions

    func run() async throws {
        let settings = try await self.options.settings()
        let findings = await Doctor(settings: settings, log: self.options.logger(settings)).examine()
        for finding in findings { Terminal.line("\(finding.verdict.rawValue)\t\(finding.subject)\t\(finding.text)") }
        if findings.contains(where: { $0.verdict == .bad }) { throw ExitCode(1) }
    }
}
