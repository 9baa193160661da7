import App
import ArgumentParser
import Glibc

/// The one executable. Exits 0, 2 on bad usage, 1 on failure with one line on standard error.
@main
struct Vireo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vireo",
        abstract: "The recommendation server that does not serve yesterday's answer.",
        version: Node.version,
        subcommands: [
            Dev.self, Serve.self, Migrate.self, Import.self, Export.self, Demo.self, Train.self, Models.self,
            Recommend.self, Evaluate.self, Keys.self, PolicyCommand.self, ExperimentCommand.self, TombstoneCommand.self,
            PurgeCommand.self, NodesCommand.self, Load.self, Check.self, DoctorCommand.self,
        ]
    )

    static func main() async {
        // A closed pipe is an error of a write, not the end of the program.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try Self.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Self.end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        let code = Self.exitCode(for: error)
        if code == .success { Self.exit(withError: error) }
        if code == .validationFailure {
            Terminal.error(Self.fullMessage(for: error))
            Glibc.exit(2)
        }
        if error is ExitCode { Glibc.exit(code.rawValue) }
        Terminal.error("vireo: \(describe(error))")
        Glibc.exit(1)
    }
}
