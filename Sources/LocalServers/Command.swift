import Glibc
import Subprocess

/// A helper program that is run to its end, in `/`, with an argument list and no shell.
struct Command: Sendable {
    /// An absolute path.
    var program: String
    var arguments: [String]
    var environment: [String: String] = [:]
    /// The account to become first; needs root.
    var user: String?

    /// What it wrote.
    @discardableResult
    func run() async throws(LocalServerError) -> String {
        let identity = user.map { ["runuser", "-u", $0, "--"] } ?? []
        var updates: [Environment.Key: String?] = ["PATH": Self.searchPath.joined(separator: ":"), "LC_ALL": "C.UTF-8"]
        for (key, value) in environment { updates[Environment.Key(rawValue: key)!] = value }

        let output: String
        do {
            let result = try await Subprocess.run(
                .name("env"),
                arguments: Arguments(["--chdir=/"] + identity + [program] + arguments),
                environment: .inherit.updating(updates),
                output: .string(limit: 1 << 20),
                error: .combinedWithOutput
            )
            if result.terminationStatus.isSuccess { return result.standardOutput }
            output = result.standardOutput
        } catch {
            if Task.isCancelled { throw .cancelled }
            throw .commandFailed(program, output: "\(error)")
        }
        throw .commandFailed(program, output: String(output.suffix(2000)))
    }

    /// The absolute path of a program in PATH or in the usual directories.
    static func find(_ name: String) -> String? {
        searchPath.lazy.map { "\($0)/\(name)" }.first(where: Files.isExecutable)
    }

    private static var searchPath: [String] {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").map(String.init) + [
            "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin",
        ]
    }
}
