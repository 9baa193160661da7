import Metrics

/// The instruments of one client, made once.
struct PostgresMetrics: Sendable {
    private let calls: Timer
    private let waits: Timer
    private let idle: Gauge
    private let busy: Gauge
    private let waiting: Gauge
    private let openings: Counter
    private let failedOpenings: Counter
    private let closings: Counter
    private let cancelRequests: Counter
    private let retries: Counter
    private let errors: [PostgresError.Kind: Counter]

    init(name: String) {
        let pool = [("pool", name)]
        calls = Timer(label: "vireo_postgres_call_duration", dimensions: pool)
        waits = Timer(label: "vireo_postgres_wait_duration", dimensions: pool)
        idle = Gauge(label: "vireo_postgres_connections", dimensions: pool + [("state", "idle")])
        busy = Gauge(label: "vireo_postgres_connections", dimensions: pool + [("state", "busy")])
        waiting = Gauge(label: "vireo_postgres_waiting", dimensions: pool)
        openings = Counter(label: "vireo_postgres_connections_opened_total", dimensions: pool)
        failedOpenings = Counter(label: "vireo_postgres_connections_failed_total", dimensions: pool)
        closings = Counter(label: "vireo_postgres_connections_closed_total", dimensions: pool)
        cancelRequests = Counter(label: "vireo_postgres_cancel_requests_total", dimensions: pool)
        retries = Counter(label: "vireo_postgres_retries_total", dimensions: pool)
        let counters = PostgresError.Kind.allCases.map { kind in
            (kind, Counter(label: "vireo_postgres_errors_total", dimensions: pool + [("kind", kind.rawValue)]))
        }
        errors = Dictionary(uniqueKeysWithValues: counters)
    }

    /// A call has ended on its connection; the wait for it is not counted.
    func callEnded(after duration: Duration) {
        calls.record(duration: duration)
    }

    /// A call has got its connection.
    func waited(_ duration: Duration) {
        waits.record(duration: duration)
    }

    func opened() { openings.increment() }

    func openingFailed() { failedOpenings.increment() }

    func closed() { closings.increment() }

    /// The server was asked to cancel a statement: of a cancelled task, or past its deadline.
    func cancelRequested() { cancelRequests.increment() }

    /// A call is tried once more.
    func retried() { retries.increment() }

    func failed(_ error: PostgresError) {
        errors[error.kind]?.increment()
    }

    /// Idle and busy count the places for connections, open or not.
    func poolChanged(idle: Int, busy: Int, waiting: Int) {
        self.idle.record(idle)
        self.busy.record(busy)
        self.waiting.record(waiting)
    }
}
