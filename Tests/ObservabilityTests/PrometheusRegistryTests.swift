import Metrics
import Testing

@testable import Observability

@Suite struct PrometheusRegistryTests {
    @Test("the same label and dimensions, in any order, are the same handler")
    func identity() {
        let registry = PrometheusRegistry()
        let one = registry.makeCounter(label: "a.b", dimensions: [("x", "1"), ("y", "2")])
        let two = registry.makeCounter(label: "a_b_total", dimensions: [("y", "2"), ("x", "1")])
        let other = registry.makeCounter(label: "a.b", dimensions: [("x", "1"), ("y", "3")])
        #expect(one === two)
        #expect(one !== other)
    }

    @Test("integer and floating-point counters of one name add up")
    func sharedCounter() throws {
        let registry = PrometheusRegistry()
        Counter(label: "x", factory: registry).increment(by: 2)
        FloatingPointCounter(label: "x", factory: registry).increment(by: 0.5)
        #expect(try Exposed(registry.render()).value("x_total") == 2.5)
    }

    @Test("counters ignore what would take them back or spoil them, and reset to zero")
    func counterGuards() throws {
        let registry = PrometheusRegistry()
        let whole = registry.makeCounter(label: "x", dimensions: [])
        let fractional = registry.makeFloatingPointCounter(label: "x", dimensions: [])
        whole.increment(by: 5)
        whole.increment(by: -3)
        for amount in [-1, Double.nan, .infinity] { fractional.increment(by: amount) }
        #expect(try Exposed(registry.render()).value("x_total") == 5)
        whole.reset()
        #expect(try Exposed(registry.render()).value("x_total") == 0)
    }

    @Test("a meter goes up and down")
    func meter() throws {
        let registry = PrometheusRegistry()
        let meter = Meter(label: "m", factory: registry)
        meter.set(10)
        meter.increment(by: 2.5)
        meter.decrement(by: 4)
        #expect(try Exposed(registry.render()).value("m") == 8.5)
    }

    @Test("a name that is another type's gives a handle that does nothing, and is counted")
    func conflicts() throws {
        let registry = PrometheusRegistry()
        Counter(label: "x_total", factory: registry).increment()
        Gauge(label: "x_total", factory: registry).record(99)
        Recorder(label: "x_total", factory: registry).record(99)
        let exposed = try Exposed(registry.render())
        #expect(exposed.types["x_total"] == "counter")
        #expect(exposed.value("x_total") == 1)
        #expect(exposed.value("vireo_metric_conflicts_total") == 2)
    }

    @Test("a histogram's three sample names belong to it")
    func sampleNameConflicts() throws {
        let registry = PrometheusRegistry()
        Timer(label: "x", factory: registry).recordSeconds(1)
        Gauge(label: "x_seconds_count", factory: registry).record(99)
        Gauge(label: "y_seconds_sum", factory: registry).record(3)
        Timer(label: "y", factory: registry).recordSeconds(1)
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_seconds_count") == 1)
        #expect(exposed.value("y_seconds_sum") == 3)
        #expect(exposed.types["y_seconds"] == nil)
        #expect(exposed.value("vireo_metric_conflicts_total") == 2)
    }

    @Test("a name keeps as many series as it may have; the rest are counted")
    func cardinality() throws {
        let registry = PrometheusRegistry(settings: PrometheusSettings(seriesLimit: 3))
        for user in 0..<10 {
            Counter(label: "x", dimensions: [("user", "\(user)")], factory: registry).increment()
        }
        Counter(label: "x", dimensions: [("user", "0")], factory: registry).increment()
        let exposed = try Exposed(registry.render())
        #expect(exposed.samples.count { $0.name == "x_total" } == 3)
        #expect(exposed.value("x_total", ["user": "0"]) == 2)
        #expect(exposed.value("vireo_metric_series_dropped_total", ["metric": "x_total"]) == 7)
    }

    @Test("a destroyed handle's series is gone, makes room and frees the name")
    func destruction() throws {
        let registry = PrometheusRegistry(settings: PrometheusSettings(seriesLimit: 2))
        let timers = ["a", "b"].map { Timer(label: "x", dimensions: [("k", $0)], factory: registry) }
        timers[0].destroy()
        Timer(label: "x", dimensions: [("k", "c")], factory: registry).recordSeconds(1)
        timers[1].recordSeconds(1)
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("x_seconds_count", ["k": "a"]) == nil)
        #expect(exposed.value("x_seconds_count", ["k": "b"]) == 1)
        #expect(exposed.value("x_seconds_count", ["k": "c"]) == 1)

        timers[1].destroy()
        timers[0].destroy()
        Timer(label: "x", dimensions: [("k", "c")], factory: registry).destroy()
        Gauge(label: "x_seconds", factory: registry).record(1)
        #expect(try Exposed(registry.render()).types["x_seconds"] == "gauge")
    }

    @Test("a destroyed handle does not take a later one's series")
    func lateDestruction() throws {
        let registry = PrometheusRegistry()
        let first = Counter(label: "x", factory: registry)
        first.destroy()
        Counter(label: "x", factory: registry).increment()
        first.destroy()
        #expect(try Exposed(registry.render()).value("x_total") == 1)
    }

    @Test("increments from eight tasks are all counted")
    func concurrentIncrements() async throws {
        let registry = PrometheusRegistry()
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    let whole = Counter(label: "whole", factory: registry)
                    let fractional = FloatingPointCounter(label: "fractional", factory: registry)
                    let meter = Meter(label: "meter", factory: registry)
                    let timer = Timer(label: "timer", factory: registry)
                    for index in 0..<100_000 {
                        whole.increment()
                        fractional.increment(by: 0.5)
                        meter.increment(by: 1)
                        timer.recordNanoseconds(index % 2 == 0 ? 1_000 : 1_000_000_000)
                    }
                }
            }
        }
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("whole_total") == 800_000)
        #expect(exposed.value("fractional_total") == 400_000)
        #expect(exposed.value("meter") == 800_000)
        #expect(exposed.value("timer_seconds_count") == 800_000)
        #expect(exposed.value("timer_seconds_bucket", ["le": "0.5"]) == 400_000)
        #expect(exposed.value("timer_seconds_sum") == 400_000.4)
    }

    @Test("series made by many tasks during scrapes are made once each")
    func concurrentCreation() async throws {
        let registry = PrometheusRegistry()
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for index in 0..<200 {
                        Counter(label: "x", dimensions: [("i", "\(index)")], factory: registry).increment()
                        if index % 20 == 0 { _ = registry.render() }
                    }
                }
            }
        }
        let exposed = try Exposed(registry.render())
        for index in 0..<200 { #expect(exposed.value("x_total", ["i": "\(index)"]) == 8) }
    }
}
