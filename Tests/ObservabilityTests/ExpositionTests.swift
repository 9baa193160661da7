import Metrics
import Testing

@testable import Observability

@Suite struct ExpositionTests {
    @Test("every kind of metric is exposed as Prometheus reads it")
    func golden() {
        let settings = PrometheusSettings(
            help: ["requests_total": "Requests.", "wait_seconds": "Time spent waiting."],
            timerBuckets: [0.001, 0.5],
            buckets: ["slate_size": [10, 20]]
        )
        let registry = PrometheusRegistry(settings: settings)
        Counter(label: "requests", dimensions: [("route", "/v1"), ("code", "200")], factory: registry).increment(by: 3)
        FloatingPointCounter(label: "cost_total", factory: registry).increment(by: 0.25)
        Gauge(label: "lease.age", factory: registry).record(1.5)
        Meter(label: "depth", factory: registry).set(7)
        let timer = Timer(label: "wait", factory: registry)
        timer.recordNanoseconds(1_000_000)
        timer.recordMilliseconds(250)
        timer.recordSeconds(2)
        Recorder(label: "slate_size", factory: registry).record(15)

        let expected = """
            # TYPE cost_total counter
            cost_total 0.25
            # TYPE depth gauge
            depth 7
            # TYPE lease_age gauge
            lease_age 1.5
            # HELP requests_total Requests.
            # TYPE requests_total counter
            requests_total{code="200",route="/v1"} 3
            # TYPE slate_size histogram
            slate_size_bucket{le="10"} 0
            slate_size_bucket{le="20"} 1
            slate_size_bucket{le="+Inf"} 1
            slate_size_sum 15
            slate_size_count 1
            # HELP vireo_metric_conflicts_total Metric handles refused because the name already belongs to another type.
            # TYPE vireo_metric_conflicts_total counter
            vireo_metric_conflicts_total 0
            # HELP wait_seconds Time spent waiting.
            # TYPE wait_seconds histogram
            wait_seconds_bucket{le="0.001"} 1
            wait_seconds_bucket{le="0.5"} 2
            wait_seconds_bucket{le="+Inf"} 3
            wait_seconds_sum 2.251
            wait_seconds_count 3

            """
        #expect(String(decoding: registry.render(), as: UTF8.self) == expected)
    }

    @Test("label values and help texts survive the round trip, whatever they hold")
    func escaping() throws {
        let hostile = "a\\b\"c\nd},e=\"é\u{0}\r\n🦆"
        let registry = PrometheusRegistry(help: ["x_total": hostile])
        Counter(label: "x", dimensions: [("v", hostile)], factory: registry).increment()

        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_total", ["v": hostile]) == 1)
        #expect(exposed.help["x_total"] == hostile)
    }

    @Test(
        "metric names are made acceptable",
        arguments: [
            ("http.server-requests", "http_server_requests"), ("9lives", "_9lives"), ("", "_"), ("a:b", "a:b"),
            ("größe", "gr__e"), ("a b\n# TYPE c", "a_b___TYPE_c"),
        ]
    )
    func metricNames(label: String, name: String) {
        #expect(MetricName.metric(label) == name)
    }

    @Test(
        "label names are made acceptable",
        arguments: [("a.b", "a_b"), ("a:b", "a_b"), ("__name__", "_name__"), ("1", "_1"), ("___", "_"), ("", "_")]
    )
    func labelNames(label: String, name: String) {
        #expect(MetricName.label(label) == name)
    }

    @Test("a suffix is given once", arguments: [("x", "x_total"), ("x_total", "x_total"), ("x.total", "x_total")])
    func suffix(label: String, name: String) {
        #expect(MetricName.metric(label, suffix: "_total") == name)
    }

    @Test("labels that become equal are one label, empty ones none, and le stays the histogram's")
    func labelCollisions() throws {
        let registry = PrometheusRegistry()
        Counter(label: "x", dimensions: [("a.b", "1"), ("a_b", "2"), ("c", "")], factory: registry).increment()
        Timer(label: "y", dimensions: [("le", "z")], factory: registry).recordSeconds(1)

        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_total", ["a_b": "1"]) == 1)
        #expect(exposed.value("y_seconds_count", ["exported_le": "z"]) == 1)
        #expect(exposed.value("y_seconds_bucket", ["exported_le": "z", "le": "+Inf"]) == 1)
    }

    @Test(
        "numbers are written as Prometheus parses them",
        arguments: [
            (1.0, "1"), (-0.5, "-0.5"), (0.00005, "5e-05"), (1e21, "1e+21"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
            (.nan, "NaN"),
        ]
    )
    func numbers(value: Double, text: String) {
        #expect(Exposition.number(value) == text)
    }

    @Test("rendering appends to what is there")
    func appending() {
        var out = Array("x".utf8)
        PrometheusRegistry().render(into: &out)
        #expect(out.starts(with: "x# HELP".utf8))
    }
}
