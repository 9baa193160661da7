import App
import ArgumentParser
import RecommendationCore

struct TombstoneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tombstone",
        abstract: "Deny entries: what they name is on no answer any more.",
        subcommands: [Add.self, Remove.self, List.self]
    )

    private static let path = "/v1/admin/tombstones"

    /// What is denied.
    struct Target: ParsableArguments {
        @Argument(help: "item, creator, category or campaign.")
        var kind: String
        @Argument(help: "Ids, at most 1000.")
        var ids: [String] = []
        @Option(help: "A file with one id a line, at most 100000; `-` is standard input. All of them are one change.")
        var file: String?

        func validate() throws {
            try TombstoneCommand.check(self.kind)
            guard self.file == nil || self.ids.isEmpty else { throw ValidationError("give ids or --file, not both") }
            guard self.file != nil || (1...1_000).contains(self.ids.count) else {
                throw ValidationError("give 1 to 1000 ids, or --file")
            }
        }

        /// What is to be denied, or not any more.
        func read() throws -> [String] {
            guard let file = self.file else { return self.ids }
            let ids = try InputFile.lines(of: file)
            guard (1...100_000).contains(ids.count) else { throw IDCountError(path: file, count: ids.count) }
            return ids
        }
    }

    private struct IDCountError: Error, CustomStringConvertible {
        let path: String
        let count: Int
        var description: String { "\(self.path) has \(self.count) ids; one change has 1 to 100000" }
    }

    private static func check(_ kind: String) throws {
        guard Tombstone.Kind(rawValue: kind) == nil else { return }
        throw ValidationError("the kind must be \(Tombstone.Kind.allCases.map(\.rawValue).joined(separator: "|"))")
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deny things, for good or until a time.",
            discussion: """
                Example:
                  vireo tombstone add item i7 i8 --reason legal --expires-at 2027-01-01T00:00:00Z
                  vireo tombstone add item --file recalled.txt --wait
                """
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @OptionGroup var target: Target
        @Option(help: "Why, for people.")
        var reason: String?
        @Option(help: "Until when, as 2027-01-01T00:00:00Z; without it, for good.")
        var expiresAt: String?

        func run() async throws {
            let document = AdminDocuments.Tombstones(
                kind: self.target.kind,
                ids: try self.target.read(),
                reason: self.reason,
                expiresAt: self.expiresAt
            )
            try await self.options.change(
                "POST",
                path,
                document,
                as: AdminDocuments.TombstoneChange.self,
                waiting: self.waiting
            ) { change in
                let spread = spread(propagated: change.propagated, complete: change.complete)
                Terminal.line("\(change.added ?? 0) added, \(change.already ?? 0) there already; \(spread)")
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take deny entries away.",
            discussion: "Example:\n  vireo tombstone remove item i7"
        )

        @OptionGroup var options: AdminOptions
        @OptionGroup var waiting: WaitOption
        @OptionGroup var target: Target

        func run() async throws {
            let document = AdminDocuments.Tombstones(
                kind: self.target.kind,
                ids: try self.target.read(),
                reason: nil,
                expiresAt: nil
            )
            try await self.options.change(
                "DELETE",
                path,
                document,
                as: AdminDocuments.TombstoneChange.self,
                waiting: self.waiting
            ) { change in
                let spread = spread(propagated: change.propagated, complete: change.complete)
                Terminal.line("\(change.removed ?? 0) removed, \(change.absent ?? 0) not there; \(spread)")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List what is denied, newest first.",
            discussion: "With --json each page of the list is a line.\n\nExample:\n  vireo tombstone list --kind item"
        )

        @OptionGroup var options: AdminOptions
        @Option(help: "item, creator, category or campaign.")
        var kind: String?

        func validate() throws { if let kind { try TombstoneCommand.check(kind) } }

        func run() async throws {
            let query = path + "?limit=1000" + (self.kind.map { "&kind=\($0)" } ?? "")
            var cursor: String?
            repeat {
                let page = query + (cursor.map { "&cursor=\($0)" } ?? "")
                let list = try await self.options.run("GET", page, as: AdminDocuments.TombstoneList.self) { list in
                    for entry in list.tombstones {
                        let end = entry.expires_at ?? "for good"
                        Terminal.line("\(entry.kind)\t\(entry.id)\t\(end)\t\(entry.created_at)\t\(entry.reason ?? "")")
                    }
                }
                cursor = list.next_cursor
            } while cursor != nil
        }
    }
}

struct PurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Take what was computed before out of use; it is computed anew when it is asked for.",
        discussion: "Examples:\n  vireo purge user u1\n  vireo purge surface home --dry-run\n  vireo purge tenant"
    )

    @OptionGroup var options: AdminOptions
    @OptionGroup var waiting: WaitOption
    @Argument(help: "user, surface, model, policy or tenant.")
    var scope: String
    @Argument(help: "Of what; of a tenant, the key's if it is left out.")
    var id: String?
    @Flag(help: "Purge nothing.")
    var dryRun = false

    func validate() throws {
        guard PurgeScope.names.contains(self.scope) else {
            throw ValidationError("the scope must be \(PurgeScope.names.joined(separator: "|"))")
        }
        guard self.id != nil || self.scope == "tenant" else { throw ValidationError("say which \(self.scope)") }
    }

    func run() async throws {
        let document = AdminDocuments.Purge(scope: self.scope, id: self.id, dryRun: self.dryRun)
        try await self.options.change(
            "POST",
            "/v1/admin/purge",
            document,
            as: AdminDocuments.Purged.self,
            waiting: self.waiting
        ) { purged in
            if purged.dry_run == true { return Terminal.line("nothing was purged") }
            let spread = spread(propagated: purged.propagated ?? false, complete: purged.complete)
            if let version = purged.user_version {
                Terminal.line(version == 0 ? "there is no such user" : "the user is at version \(version), \(spread)")
            } else {
                Terminal.line("generation \(purged.generation ?? 0), \(spread)")
            }
        }
    }
}

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes",
        abstract: "List the nodes of the fleet; the key must be an admin key of the tenant _fleet.",
        discussion: "Example:\n  vireo nodes --json"
    )

    @OptionGroup var options: AdminOptions

    func run() async throws {
        try await self.options.run("GET", "/v1/admin/nodes", as: AdminDocuments.Nodes.self) { list in
            for node in list.nodes {
                let lease = node.lease_age_ms.map { "lease \($0) ms" } ?? "no lease"
                Terminal.line(
                    "\(node.id)\t\(node.version)\t\(lease)\tcontrol \(node.control_applied)\t\(node.model ?? "no model")\t"
                        + "\(node.policy)\t\(node.l1.entries) entries, \(node.l1.bytes >> 10) KiB\t\(node.started_at)"
                )
            }
        }
    }
}
