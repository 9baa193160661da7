import Logging
import RecommendationCore

/// Calls of the repository, again where they failed for a while: every one of them may be sent twice.
struct RepositoryAttempts: Sendable {
    struct Outcome<Value> {
        var value: Value
        /// How long the attempt took that succeeded.
        var duration: Duration
        /// An earlier attempt may have been stored: the answer does not tell of what that one changed.
        var followsUnknown: Bool
    }

    struct Failure: Error {
        enum Cause {
            case repository(RepositoryError)
            case cancelled
        }

        var cause: Cause
        /// An attempt may have been stored nevertheless.
        var mayBeStored: Bool
    }

    static let limit = 5

    let repository: any ImportRepository
    let log: Logger
    let now: @Sendable () -> ContinuousClock.Instant
    let sleep: @Sendable (Duration) async throws -> Void

    func callAsFunction<Value>(
        _ call: (any ImportRepository) async throws(RepositoryError) -> Value
    ) async throws(Failure) -> Outcome<Value> {
        var mayBeStored = false
        var attempt = 1
        var pause = Duration.milliseconds(200)
        while true {
            guard !Task.isCancelled else { throw Failure(cause: .cancelled, mayBeStored: mayBeStored) }
            let start = self.now()
            do throws(RepositoryError) {
                let value = try await call(self.repository)
                return Outcome(value: value, duration: start.duration(to: self.now()), followsUnknown: mayBeStored)
            } catch {
                if error == .outcomeUnknown { mayBeStored = true }
                // A cancelled call fails like one that timed out.
                guard !Task.isCancelled else { throw Failure(cause: .cancelled, mayBeStored: mayBeStored) }
                guard error.isPassing, attempt < Self.limit else {
                    throw Failure(cause: .repository(error), mayBeStored: mayBeStored)
                }
                self.log.warning(
                    "import waits for the store",
                    metadata: ["attempt": "\(attempt)", "pause": "\(pause)", "error": "\(error)"]
                )
            }
            do { try await self.sleep(pause) } catch { throw Failure(cause: .cancelled, mayBeStored: mayBeStored) }
            attempt += 1
            pause *= 2
        }
    }
}

extension RepositoryError {
    fileprivate var isPassing: Bool {
        switch self {
        case .unavailable, .outcomeUnknown: true
        case .conflict, .corrupt, .failed: false
        }
    }
}

extension RepositoryAttempts.Outcome: Sendable where Value: Sendable {}
