import Metrics
import Testing

@testable import Observability

@Suite struct HistogramTests {
    private func buckets(_ exposed: Exposed, _ name: String) -> [Double] {
        exposed.samples.filter { $0.name == name + "_bucket" }.map(\.value)
    }

    @Test("buckets are cumulative, hold their own bound and end with everything")
    func cumulative() throws {
        let registry = PrometheusRegistry(settings: PrometheusSettings(recorderBuckets: [1, 2, 5]))
        let recorder = Recorder(label: "x", factory: registry)
        for value in [0.5, 1, 1.5, 2, 5, 6, 1e300] { recorder.record(value) }
        let exposed = try Exposed(registry.render())
        #expect(buckets(exposed, "x") == [2, 4, 5, 7])
        #expect(exposed.value("x_bucket", ["le": "+Inf"]) == exposed.value("x_count"))
    }

    @Test("a timer's nanoseconds fall into buckets of seconds", arguments: PrometheusSettings.latencyBuckets)
    func timerBounds(bound: Double) throws {
        let registry = PrometheusRegistry()
        let timer = Timer(label: "x", factory: registry)
        let nanoseconds = Int64((bound * 1e9).rounded())
        timer.recordNanoseconds(nanoseconds)
        timer.recordNanoseconds(nanoseconds + 1)
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_seconds_bucket", ["le": Exposition.number(bound)]) == 1)
        #expect(exposed.value("x_seconds_count") == 2)
    }

    @Test("bounds are sorted, told once each and finite")
    func bounds() {
        let shape = HistogramShape(bounds: [5, .infinity, 1, 1, .nan, -1])
        #expect(shape.bounds == [-1, 1, 5])
        #expect(shape.labels == ["-1", "1", "5", "+Inf"])
    }

    @Test("the sum is exact over many short durations")
    func sum() throws {
        let registry = PrometheusRegistry()
        let timer = Timer(label: "x", factory: registry)
        for _ in 0..<10_000 { timer.recordNanoseconds(100) }
        #expect(try Exposed(registry.render()).value("x_seconds_sum") == 0.001)
    }

    @Test("what is not finite is ignored, and time does not run backwards")
    func guards() throws {
        let registry = PrometheusRegistry()
        let recorder = Recorder(label: "x", factory: registry)
        for value in [Double.nan, .infinity, -.infinity] { recorder.record(value) }
        Timer(label: "y", factory: registry).recordNanoseconds(Int64(-5))
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_count") == 0)
        #expect(exposed.value("x_sum") == 0)
        #expect(exposed.value("y_seconds_count") == 1)
        #expect(exposed.value("y_seconds_sum") == 0)
    }

    @Test("a timer and a recorder of seconds with one name are one histogram")
    func shared() throws {
        let registry = PrometheusRegistry()
        Timer(label: "x", factory: registry).recordMilliseconds(500)
        Recorder(label: "x_seconds", factory: registry).record(0.25)
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_seconds_sum") == 0.75)
        #expect(exposed.value("x_seconds_bucket", ["le": "0.25"]) == 1)
    }
}
