import Metrics

/// The instruments of one client, made once.
struct PostgresMetrics: Sendable {
    private let calls: Timer
    private let idle: Gauge
    private let busy: Gauge
    private let waiting: Gauge
    private let errors: [PostgresError.Kind: Counter]

    init(name: String) {
        calls = Timer(label: "vireo_postgres_call_duration", dimensions: [("pool", name)])
        idle = Gauge(label: "vireo_postgres_connections", dimensions: [("pool", name), ("state", "idle")])
        busy = Gauge(label: "vireo_postgres_connections", dimensions: [("pool", name), ("state", "busy")])
        waiting = Gauge(label: "vireo_postgres_waiting", dimensions: [("pool", name)])
        let counters = PostgresError.Kind.allCases.map { kind in
            (
                kind,
                Counter(label: "vireo_postgres_errors_total", dimensions: [("pool", name), ("kind", kind.rawValue)])
            )
        }
        errors = Dictionary(uniqueKeysWithValues: counters)
    }

    /// A call has ended on its connection; the wait for it is not counted.
    func callEnded(after duration: Duration) {
        calls.record(duration: duration)
    }

    func failed(_ error: PostgresError) {
        errors[error.kind]?.increment()
    }

    func poolChanged(idle: Int, busy: Int, waiting: Int) {
        self.idle.record(idle)
        self.busy.record(busy)
        self.waiting.record(waiting)
    }
}
