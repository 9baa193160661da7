import Glibc
import RecommendationCore
import Training

/// Standard output, standard error, and progress.
enum Terminal {
    static func line(_ text: String) { Self.write("\(text)\n", to: STDOUT_FILENO) }

    static func error(_ text: String) { Self.write("\(text)\n", to: STDERR_FILENO) }

    /// One line that is written over on a terminal; elsewhere a plain line, at most one every few seconds.
    final class Progress {
        private let isTerminal = isatty(STDERR_FILENO) == 1
        private var lastShown: ContinuousClock.Instant?

        func show(_ text: String) {
            let pause: Duration = self.isTerminal ? .milliseconds(200) : .seconds(5)
            if let lastShown, ContinuousClock.now - lastShown < pause { return }
            self.lastShown = .now
            Terminal.write(self.isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n", to: STDERR_FILENO)
        }

        func clear() {
            if self.isTerminal, self.lastShown != nil { Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
        }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }
}

/// One line for a person; no error of ours holds a secret.
func describe(_ error: any Error) -> String {
    switch error {
    case let error as RepositoryError:
        switch error {
        case .unavailable(let what): "the store cannot be used: \(what)"
        case .outcomeUnknown: "the connection was lost while committing; run the command again"
        case .conflict(let what): what
        case .corrupt(let what): "stored data is damaged: \(what)"
        case .failed(let what): "the store answered with an error: \(what)"
        }
    case let error as TrainingError:
        switch error {
        case .repository(let error): describe(error)
        case .emptyCatalogue: "there are no items; import some first"
        case .fit(let error): "no model can be fitted: \(error)"
        }
    case let error as RolloutError:
        switch error {
        case .repository(let error): describe(error)
        case .refused(let shortfall): "\(shortfall); --force activates it all the same"
        default: "\(error)"
        }
    case let error as ModelImportError:
        switch error {
        case .repository(let error): describe(error)
        default: "\(error)"
        }
    default: "\(error)"
    }
}
