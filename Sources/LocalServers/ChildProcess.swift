import Subprocess

/// A program that runs beside us for as long as the call does: the nodes of `vireo dev` and of the fleet tests.
package enum ChildProcess {
    /// Runs a program to its end; when the task is cancelled it is asked to stop, and killed after a grace period.
    ///
    /// - Parameters:
    ///   - environment: Added to our own; nil takes a variable away.
    ///   - log: Takes what it writes, appended.
    ///   - onStart: Called with its pid.
    /// - Returns: Its exit code; 128 + N where signal N ended it.
    package static func run(
        _ program: String,
        arguments: [String],
        environment: [String: String?],
        log: String,
        onStart: (Int32) -> Void = { _ in }
    ) async throws(LocalServerError) -> Int32 {
        var updates: [Environment.Key: String?] = [:]
        for (name, value) in environment {
            if let key = Environment.Key(rawValue: name) { updates[key] = value }
        }
        var options = PlatformOptions()
        // Its own group: Ctrl-C reaches us alone, and we stop it in order.
        options.processGroupID = 0
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(10))]
        do {
            let result = try await Subprocess.run(
                .name("sh"),
                // The shell only opens the log; the program takes its place.
                arguments: Arguments(
                    ["-c", #"log=$1; shift; exec "$@" >>"$log" 2>&1"#, "sh", log, program] + arguments
                ),
                environment: .inherit.updating(updates),
                platformOptions: options,
                input: .none,
                output: .discarded,
                error: .discarded
            ) { execution in
                onStart(execution.processIdentifier.value)
            }
            return switch result.terminationStatus {
            case .exited(let code): code
            case .signaled(let signal): 128 + signal
            }
        } catch {
            if Task.isCancelled { throw .cancelled }
            throw .commandFailed(program, output: "\(error)")
        }
    }
}
