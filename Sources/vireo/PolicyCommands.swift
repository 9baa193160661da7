import App
import ArgumentParser
import Glibc
import RecommendationCore

struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Policies: how pools are scored and slates are chosen, version by version.",
        subcommands: [Put.self, Get.self, List.self, Try.self, Activate.self, Rollback.self]
    )

    private static let path = "/v1/admin/policies"

    /// The version a command is about.
    struct Version: ParsableArguments {
        @Argument(help: "The version's name; 1 to 64 of A-Za-z0-9._-.")
        var version: String

        func validate() throws { try PolicyCommand.check(self.version, "the version") }
    }

    private static func check(_ version: String, _ what: String) throws {
        guard PlainName.isValid(version) else { throw ValidationError("\(what) must be \(PlainName.allowed)") }
    }

    struct Put: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Store a policy document under a version, which never changes after that.",
            discussion:
                "What the document leaves out takes the built-in value.\n\nExample:\n  vireo policy put p8.json --version p8"
        )

        @OptionGroup var options: AdminOptions
        @Argument(help: "The JSON document; `-` is standard input.")
        var file: String
        @Option(help: "The version's name; 1 to 64 of A-Za-z0-9._-.")
        var version: String

        func validate() throws { try PolicyCommand.check(self.version, "--version") }

        func run() async throws {
            let document = try InputFile.contents(of: self.file)
            let client = try await self.options.client()
            let answer = try await client.call("PUT", "\(path)/\(self.version)", body: document)
            let stored = try client.decode(answer, as: AdminDocuments.StoredPolicy.self)
            if self.options.json { return Terminal.line(String(decoding: answer, as: UTF8.self)) }
            Terminal.line(
                stored.created ? "\(stored.version) is stored" : "\(stored.version) was stored already, the same"
            )
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the whole document of a version.",
            discussion: "Example:\n  vireo policy get p8 > p8.json"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var version: Version

        func run() async throws {
            let answer = try await self.options.client().call("GET", "\(path)/\(self.version.version)")
            Terminal.line(String(decoding: answer, as: UTF8.self))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the versions, newest first, and which is in force.",
            discussion: "Example:\n  vireo policy list"
        )

        @OptionGroup var options: AdminOptions

        func run() async throws {
            try await self.options.run("GET", path, as: AdminDocuments.Policies.self) { list in
                for policy in list.policies {
                    let state =
                        policy.version == list.active
                        ? "active"
                        : policy.version == list.canary?.version
                            ? "canary" : policy.version == list.previous ? "previous" : ""
                    Terminal.line("\(policy.version)\t\(state)\t\(policy.created_at ?? "built in")")
                }
            }
        }
    }

    struct Try: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say how the lists of a sample of users would change by a version; nothing is changed.",
            discussion: "Example:\n  vireo policy try p8 --users 200 --surface home --json"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var version: Version
        @Option(help: "Users of the sample, 1..1000.")
        var users = 100
        @Option(help: "One of the policy's surfaces.")
        var surface = "home"
        @Option(help: "The length of a list, 1..100.")
        var limit = 10

        func run() async throws {
            try await self.options.run(
                "POST",
                "\(path)/\(self.version.version):dry_run",
                AdminDocuments.PolicyTrial(users: self.users, surface: self.surface, limit: self.limit),
                as: AdminDocuments.PolicyComparison.self
            ) { comparison in
                let items = comparison.items
                Terminal.line(
                    "\(comparison.changed_users) of \(comparison.users) lists differ from those by \(comparison.against): "
                        + "\(items.in) items in, \(items.out) out, \(items.moved) moved, \(items.kept) as they were"
                )
            }
        }
    }

    struct Activate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a version in force on every node, for all users or a part of them.",
            discussion: "Example:\n  vireo policy activate p8 --percent 10"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @OptionGroup var version: Version
        @Option(help: "Of the users, 0.01..100.")
        var percent = 100.0
        @Flag(help: "Only say what would be in force.")
        var dryRun = false

        func validate() throws {
            guard self.percent.isFinite, (0.01...100).contains(self.percent) else {
                throw ValidationError("--percent must be 0.01..100")
            }
        }

        func run() async throws {
            try await self.options.change(
                "POST",
                "\(path)/\(self.version.version):activate",
                AdminDocuments.Activation(percent: self.percent, dryRun: self.dryRun),
                as: AdminDocuments.PolicyChange.self,
                waiting: self.waiting,
                show: PolicyCommand.show
            )
        }
    }

    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a version out of force, for the one before it.",
            discussion: "Example:\n  vireo policy rollback p8"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @OptionGroup var version: Version
        @Flag(help: "Only say what would be in force.")
        var dryRun = false

        func run() async throws {
            try await self.options.change(
                "POST",
                "\(path)/\(self.version.version):rollback",
                AdminDocuments.DryRun(self.dryRun),
                as: AdminDocuments.PolicyChange.self,
                waiting: self.waiting,
                show: PolicyCommand.show
            )
        }
    }

    private static func show(_ change: AdminDocuments.PolicyChange) {
        let beside = change.canary.map { ", \($0.version) for \($0.percent) % of the users" } ?? ""
        guard let propagated = change.propagated else {
            return Terminal.line("\(change.active) would be in force\(beside)")
        }
        let spread = spread(propagated: propagated, complete: change.complete)
        Terminal.line("\(change.active) is in force\(beside), \(spread); before it: \(change.previous ?? "none")")
    }
}
