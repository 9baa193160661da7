import Histogram
import LoadClient

/// What came of a run.
package struct LoadReport: Sendable {
    package let scenario: String
    package let addresses: [String]
    package let rate: Double
    package let duration: Duration
    package let connections: Int
    package let users: Int
    package let seed: UInt64
    /// The middle of the ids of this run's events.
    package let run: String
    /// What a reader of the figures must know.
    package var notes: [String] = []
    package var isInterrupted = false
    /// How long the preparation took, and what it got.
    package private(set) var preparation: (seconds: Double, completed: Int)?
    package private(set) var recorder = Recorder()
    package private(set) var elapsed: Duration = .zero
    /// How long requests were due, which is less than was asked for where a scenario ends with its users.
    private var scheduled: Duration = .zero
    /// The most that waited for a connection at once.
    package private(set) var mostWaiting = 0
    /// The client's own processor time, as a share of one core.
    package private(set) var clientLoad = 0.0

    /// Requests that the client itself sent later than this, with a connection at hand, distort what they measure.
    static let tolerableLag: Duration = .milliseconds(5)
    /// Above this share of its core the client may be what is measured.
    static let tolerableLoad = 0.85

    init(_ options: LoadRun.Options, run: String) {
        self.scenario = options.scenario.name
        self.addresses = options.addresses.map(\.description)
        self.rate = options.rate
        self.duration = options.duration
        self.connections = options.connections
        self.users = options.population.users
        self.seed = options.seed
        self.run = run
    }

    mutating func prepared(_ result: LoadLoop.Result) {
        self.preparation = (result.elapsed / .seconds(1), result.recorder.completed)
        self.isInterrupted = result.isInterrupted
    }

    mutating func fill(_ result: LoadLoop.Result, scheduled: Duration) {
        self.scheduled = scheduled
        self.recorder = result.recorder
        self.elapsed = result.elapsed
        self.mostWaiting = result.mostWaiting
        self.clientLoad = result.elapsed > .zero ? result.processor / result.elapsed : 0
        self.isInterrupted = result.isInterrupted
    }

    /// Requests answered per second, from the start to the end of the schedule or to the last answer.
    package var achievedRate: Double {
        let seconds = (self.isInterrupted ? self.elapsed : max(self.recorder.last, self.scheduled)) / .seconds(1)
        return seconds > 0 ? Double(self.recorder.completed) / seconds : 0
    }

    /// Why the client, and not the server, may be what was measured; nil: it kept up.
    package var clientFault: String? {
        let lag = Int64(self.recorder.lag.valueAtPercentile(99))
        if .microseconds(lag) > Self.tolerableLag {
            let milliseconds = Double(lag) / 1_000
            return "1 % of its requests were sent \(milliseconds) ms or more after they could have been"
        }
        if self.clientLoad > Self.tolerableLoad {
            return "it used \(Int(self.clientLoad * 100)) % of its one core"
        }
        return nil
    }
}
