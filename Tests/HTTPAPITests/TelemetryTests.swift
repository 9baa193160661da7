import HTTPAPI
import InMemoryLogging
import Logging
import Metrics
import MetricsTestKit
import Serving
import Testing

@Suite("Telemetry")
struct TelemetryTests {
    @Test("a request is one line, without the path, at a level that fits")
    func lines() async throws {
        var useCases = Canned().useCases
        useCases.models.list = { _ throws(ServingError) in throw .failed("no such table") }
        try await withServers(useCases) { ports in
            let id = [("X-Request-ID", "r1")]
            for (path, level, status, route) in [
                ("/v1/recommendations/alice?limit=3", Logger.Level.debug, "200", "/v1/recommendations/{user_id}"),
                ("/v1/recommendations/alice?limit=0", .info, "422", "/v1/recommendations/{user_id}"),
                ("/alice", .info, "404", "unmatched"),
            ] {
                _ = try await request(ports.public, "GET", path, headers: id)
                let line = try #require(ports.logs.entries.last { $0.message == "request" })
                #expect(line.level == level)
                #expect(line.metadata["request_id"] == "r1")
                #expect(line.metadata["method"] == "GET")
                #expect(line.metadata["route"] == "\(route)")
                #expect(line.metadata["status"] == "\(status)")
                #expect(line.metadata["duration_ms"].flatMap { Double($0.description) } != nil)
                #expect(line.metadata.count == 5)
            }
            _ = try await request(ports.admin, "GET", "/v1/admin/models", headers: id)
            let line = try #require(ports.logs.entries.last { $0.message == "request" })
            #expect(line.level == .error)
            #expect(line.metadata["error"] == "no such table")
            #expect(ports.logs.entries.filter { $0.message == "request" }.count == 4)
            #expect(!ports.logs.entries.contains { "\($0)".contains("alice") })
        }
    }

    @Test("requests are counted and timed by route, with labels of few values")
    func metrics() async throws {
        let metrics = TestMetrics()
        try await withMetricsFactory(metrics) {
            try await withServers { ports in
                for user in ["a", "b"] { _ = try await request(ports.public, "GET", "/v1/recommendations/\(user)") }
                _ = try await request(ports.public, "HEAD", "/v1/recommendations/a")
                for path in ["/x", "/y"] { _ = try await request(ports.public, "GET", path) }
                _ = try await request(ports.public, "PROPFIND", "/x")
                _ = try await onWire(ports.public) { wire in
                    try wire.send("NONSENSE\r\n\r\n")
                    return try wire.reply()
                }
            }
        }
        func total(_ route: String, _ method: String, _ status: String) -> Int64 {
            metrics.counterTotal(
                label: "vireo_http_requests_total",
                dimensions: [("route", route), ("method", method), ("status", status)]
            )
        }
        #expect(total("/v1/recommendations/{user_id}", "GET", "200") == 2)
        #expect(total("/v1/recommendations/{user_id}", "HEAD", "200") == 1)
        #expect(total("unmatched", "GET", "404") == 2)
        #expect(total("unmatched", "OTHER", "404") == 1)
        #expect(total("unmatched", "OTHER", "400") == 1)
        #expect(metrics.counterTotal(label: "vireo_http_requests_total") == 7)
        let timer = try metrics.expectTimer(
            "vireo_http_request_seconds",
            [("route", "/v1/recommendations/{user_id}")]
        )
        #expect(timer.values.count == 3)
    }
}
