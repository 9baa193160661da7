import App
import ArgumentParser
import Glibc
import RecommendationCore
import Training

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
        if report.pending.isEmpty, report.applied.isEmpty { Terminal.line("up to date") }
    }
}

struct Train: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Build a model version from PostgreSQL, evaluate it on held-back events, and register it.",
        discussion: "Example:\n  vireo train --activate"
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Option(help: "The recipe.")
    var recipe = "item-cosine"
    @Flag(help: "Put it into service once every node has loaded it, unless it falls too far below the active one.")
    var activate = false
    @Flag(help: "Put it into service however it compares.")
    var force = false
    @Flag(help: "Write JSON.")
    var json = false

    func validate() throws {
        guard self.recipe == "item-cosine" else { throw ValidationError("--recipe must be item-cosine") }
        guard self.activate || !self.force else { throw ValidationError("--force is for --activate only") }
        _ = try self.tenant.id()
    }

    func run() async throws {
        let tenant = try self.tenant.id()
        let (report, activation) = try await self.options.session { session in
            try await TrainOperation(session: session).run(
                tenant: tenant,
                evaluates: true,
                activates: self.activate,
                forces: self.force
            )
        }
        let isActive = if case .success = activation { true } else { false }
        let version = report.version
        let metrics = version.metrics.sorted { $0.key < $1.key }
        if self.json {
            let members = metrics.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
            Terminal.line(
                """
                {"version":"\(ModelVersion.name(version.number))","active":\(isActive),"recipe":"\(version.recipe)",\
                "interactions":\(version.interactions),"users":\(version.users),"items":\(version.items),\
                "bytes":\(version.bytes),"metrics":{\(members)}}
                """
            )
            return try Self.check(activation)
        }
        Terminal.line(
            "\(ModelVersion.name(version.number)) \(isActive ? "is active" : "is ready"): \(version.interactions) interactions, "
                + "\(version.users) users, \(version.items) items, \(version.bytes / 1_024) KiB"
        )
        for (name, value) in metrics { Terminal.line("  \(name) \((value * 10_000).rounded() / 10_000)") }
        Terminal.line("  read \(report.read), evaluate \(report.evaluation), fit \(report.fit), store \(report.store)")
        try Self.check(activation)
    }

    /// Fails where the model was to be put into service and is not: it stays ready, and the one before serves on.
    private static func check(_ activation: Result<ModelRollout.Outcome, RolloutError>?) throws {
        guard case .failure(let error) = activation else { return }
        throw error
    }
}

struct Recommend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write lists for many users, ranked by the active model's own score, seen items left out.",
        discussion: "Example:\n  vireo recommend --users all --limit 20 --out lists.tsv"
    )

    @OptionGroup var options: StoreOptions
    @OptionGroup var tenant: TenantOption
    @Option(help: "`all`, or a file with a user id a line.")
    var users = "all"
    @Option(help: "Items a user.")
    var limit = 20
    @Option(help: "The file to write; `-` is standard output.")
    var out = "-"
    @Option(help: "Rank by a policy's weights instead: the version of one that is stored, or p0.")
    var policy: String?

    func validate() throws {
        guard (1...1_000).contains(self.limit) else { throw ValidationError("--limit must be 1..1000") }
        guard self.policy.map(PlainName.isValid) ?? true else {
            throw ValidationError("--policy must be \(PlainName.allowed)")
        }
        _ = try self.tenant.id()
    }

    func run() async throws {
        let tenant = try self.tenant.id()
        let wanted = self.users == "all" ? nil : try Self.ids(in: self.users)
        guard let file = fopen(self.out == "-" ? "/dev/stdout" : self.out, "w") else { throw FileError(path: self.out) }
        defer { fclose(file) }
        let path = self.out
        let report = try await self.options.session { session in
            try await RecommendOperation(session: session).run(
                tenant: tenant,
                users: wanted,
                limit: self.limit,
                policy: self.policy
            ) { line in
                guard fputs(line, file) >= 0 else { throw FileError(path: path) }
            }
        }
        guard fflush(file) == 0 else { throw FileError(path: path) }
        Terminal.error(
            "\(report.users) users (\(report.unknown) without history) by \(report.model); read \(report.read), rank \(report.rank)"
        )
    }

    private static func ids(in path: String) throws -> [User.ID] {
        guard let file = fopen(path, "r") else { throw FileError(path: path) }
        defer { fclose(file) }
        var ids: [User.ID] = []
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var number = 0
        while getline(&line, &capacity, file) >= 0, let line {
            number += 1
            let text = String(cString: line).filter { $0 != "\n" && $0 != "\r\n" && $0 != "\r" }
            if text.isEmpty { continue }
            do {
                ids.append(try User.ID(validating: text))
            } catch {
                throw ValidationError("\(path), line \(number): a user id must be \(IdentifierError.allowed)")
            }
        }
        return ids
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

struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "API keys.",
        subcommands: [Create.self, List.self, Revoke.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key; its secret is printed once and stored as a hash.",
            discussion: "Example:\n  vireo keys create --tenant shop --scopes read,write"
        )

        @OptionGroup var options: StoreOptions
        @OptionGroup var tenant: TenantOption
        @Option(help: "read, write, admin; joined by commas.")
        var scopes = "read,write"

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
        }

        func run() async throws {
            let tenant = try self.tenant.id()
            let scopes = try self.parsedScopes()
            let (id, secret) = try await self.options.session { session in
                try await KeyOperation(keys: session.keys).create(tenant: tenant, scopes: scopes)
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
                Terminal.line("\(key.id)\t\(key.tenant)\t\(scopes)\t\(key.createdAt.rfc3339)")
            }
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
