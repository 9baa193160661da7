import HTTPTypes
import Logging
import Metrics
import Serving
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
        cause: String?,
        isShed: Bool = false
    ) {
        let method = Self.known[method] ?? "OTHER"
        self.routes[template]?.count(method: method, status: status.code, duration: duration)
        let level: Logger.Level =
            switch status.code {
            // A line for each would be more work than the refusal; there are counts.
            case _ where isShed: .debug
            case 500...: .error
            case 400...: .info
            default: .debug
            }
        guard level >= self.log.logLevel else { return }
        Self.line(
            self.log,
            level,
            method: method,
            template: template,
            status: status.code,
            requestID: requestID,
            duration: duration,
            cause: cause
        )
    }

    private static func line(
        _ log: Logger,
        _ level: Logger.Level,
        method: String,
        template: String,
        status: Int,
        requestID: String,
        duration: Duration,
        cause: String?
    ) {
        var metadata: Logger.Metadata = [
            "request_id": "\(requestID)",
            "method": "\(method)",
            "route": "\(template)",
            "status": "\(status)",
            "duration_ms": "\(Self.milliseconds(duration))",
        ]
        if let cause { metadata["error"] = "\(cause)" }
        log.log(level: level, "request", metadata: metadata)
    }

    /// The counts and lines of one route's good answers to `GET` and `HEAD`, and of those that limits kept out, found once.
    struct Answers: Sendable {
        fileprivate let log: Logger
        fileprivate let template: String
        fileprivate let get: RouteMetrics.Counted
        fileprivate let head: RouteMetrics.Counted
        fileprivate let route: RouteMetrics

        func answered(isHead: Bool, requestID: UnsafeRawBufferPointer, duration: Duration) {
            (isHead ? self.head : self.get).count(duration)
            self.line(isHead: isHead, status: .ok, requestID: requestID, duration: duration)
        }

        func refused(isHead: Bool, requestID: UnsafeRawBufferPointer, duration: Duration) {
            let status = HTTPResponse.Status.tooManyRequests
            self.route.count(method: isHead ? "HEAD" : "GET", status: status.code, duration: duration)
            self.line(isHead: isHead, status: status, requestID: requestID, duration: duration)
        }

        private func line(
            isHead: Bool,
            status: HTTPResponse.Status,
            requestID: UnsafeRawBufferPointer,
            duration: Duration
        ) {
            guard self.log.logLevel <= .debug else { return }
            RequestTelemetry.line(
                self.log,
                .debug,
                method: isHead ? "HEAD" : "GET",
                template: self.template,
                status: status.code,
                requestID: String(decoding: requestID, as: UTF8.self),
                duration: duration,
                cause: nil
            )
        }
    }

    /// What counts the good answers of a route; nil where there is no such route.
    func answers(of template: String) -> Answers? {
        self.routes[template].map { route in
            Answers(
                log: self.log,
                template: template,
                get: route.counted(method: "GET", status: 200),
                head: route.counted(method: "HEAD", status: 200),
                route: route
            )
        }
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
    /// The handles of one method and status.
    struct Counted: Sendable {
        fileprivate let counter: Counter
        fileprivate let timer: Metrics.Timer

        func count(_ duration: Duration) {
            self.counter.increment()
            self.timer.recordNanoseconds(duration.wholeNanoseconds)
        }
    }

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
        self.counted(method: method, status: status).count(duration)
    }

    func counted(method: String, status: Int) -> Counted {
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
        return Counted(counter: counter, timer: self.timer)
    }
}
