import HTTPTypes
import Logging
import Metrics
import Synchronization

/// A log line and the counts of each request.
///
/// A route is named by its template: a path would put user ids into logs, and one time series for each into metrics.
struct RequestTelemetry: Sendable {
    /// The name of what no route took.
    static let unmatched = "unmatched"

    private let log: Logger
    private let routes: [String: RouteMetrics]

    init(templates: [String], log: Logger) {
        self.log = log
        self.routes = Dictionary(
            uniqueKeysWithValues: (templates + [Self.unmatched]).map { ($0, RouteMetrics(route: $0)) }
        )
    }

    func answered(
        method: HTTPRequest.Method,
        template: String,
        status: HTTPResponse.Status,
        requestID: String,
        duration: Duration,
        cause: String?
    ) {
        let method = Self.known[method] ?? "OTHER"
        self.routes[template]?.count(method: method, status: status.code, duration: duration)
        let level: Logger.Level =
            switch status.code {
            case 500...: .error
            case 400...: .info
            default: .debug
            }
        guard level >= self.log.logLevel else { return }
        var metadata: Logger.Metadata = [
            "request_id": "\(requestID)",
            "method": "\(method)",
            "route": "\(template)",
            "status": "\(status.code)",
            "duration_ms": "\(Self.milliseconds(duration))",
        ]
        if let cause { metadata["error"] = "\(cause)" }
        self.log.log(level: level, "request", metadata: metadata)
    }

    /// A connection was refused before there was a request to speak of.
    func refused(_ refusal: Refusal, requestID: String) {
        self.answered(
            method: Self.unread,
            template: Self.unmatched,
            status: refusal.problem.status,
            requestID: requestID,
            duration: .zero,
            cause: nil
        )
    }

    /// What stands for a method that was not read.
    private static let unread = HTTPRequest.Method("-")!

    private static let known: [HTTPRequest.Method: String] = Dictionary(
        uniqueKeysWithValues: [.get, .head, .post, .put, .patch, .delete, .options].map { ($0, $0.rawValue) }
    )

    private static func milliseconds(_ duration: Duration) -> Double {
        (duration / .microseconds(1)).rounded() / 1_000
    }
}

/// The handles of one route: looked up once, not at every request.
private final class RouteMetrics: Sendable {
    private struct Key: Hashable {
        let method: String
        let status: Int
    }

    private let route: String
    private let factory: any MetricsFactory
    private let timer: Metrics.Timer
    private let counters = Mutex<[Key: Counter]>([:])

    init(route: String) {
        self.route = route
        self.factory = MetricsSystem.factory
        self.timer = Metrics.Timer(
            label: "vireo_http_request_seconds",
            dimensions: [("route", route)],
            factory: self.factory
        )
    }

    func count(method: String, status: Int, duration: Duration) {
        let counter = self.counters.withLock { counters in
            let key = Key(method: method, status: status)
            if let counter = counters[key] { return counter }
            let counter = Counter(
                label: "vireo_http_requests_total",
                dimensions: [("route", self.route), ("method", method), ("status", String(status))],
                factory: self.factory
            )
            counters[key] = counter
            return counter
        }
        counter.increment()
        let (seconds, attoseconds) = duration.components
        self.timer.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
