import App
import ArgumentParser
import Glibc
import RecommendationCore

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
        let file = try OutputFile(path: self.out)
        let report = try await self.options.session { session in
            try await RecommendOperation(session: session).run(
                tenant: tenant,
                users: wanted,
                limit: self.limit,
                policy: self.policy
            ) { try file.write($0) }
        }
        try file.finish()
        Terminal.error(
            "\(report.users) users (\(report.unknown) without history) by \(report.model); read \(report.read), rank \(report.rank), "
                + "\(Int(report.usersPerSecond)) users/s"
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
