import Glibc
import Metrics
import Testing

@testable import Observability

@Suite struct CollectorTests {
    @Test("collectors run at each scrape and their samples stand together by name")
    func grouping() throws {
        let registry = PrometheusRegistry(help: ["pool_size": "Connections."])
        let depth = Meter(label: "scrapes", factory: registry)
        registry.addCollector { samples in
            depth.increment(by: 1)
            samples.gauge("pool.size", 1, labels: [("pool", "a")])
            samples.counter("other", 5)
        }
        registry.addCollector { $0.gauge("pool.size", 2, labels: [("pool", "b")]) }
        _ = registry.render()
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("pool_size", ["pool": "a"]) == 1)
        #expect(exposed.value("pool_size", ["pool": "b"]) == 2)
        #expect(exposed.value("other_total") == 5)
        #expect(exposed.value("scrapes") == 2)
        #expect(exposed.help["pool_size"] == "Connections.")
    }

    @Test("a collected sample does not take a metric's name, another type's or another series' place")
    func conflicts() throws {
        let registry = PrometheusRegistry()
        Gauge(label: "mine", factory: registry).record(1)
        registry.addCollector { samples in
            samples.gauge("mine", 2)
            samples.gauge("a_total", 1)
            samples.counter("a", 2)
            samples.gauge("a_total", 3)
        }
        let exposed = try Exposed(registry.render())
        #expect(exposed.value("mine") == 1)
        #expect(exposed.value("a_total") == 1)
        #expect(exposed.value("vireo_metric_conflicts_total") == 3)
    }

    @Test("a collector may make metrics, and they are there from the next scrape")
    func reentrancy() throws {
        let registry = PrometheusRegistry()
        registry.addCollector { _ in Counter(label: "scrapes", factory: registry).increment() }
        #expect(try Exposed(registry.render()).value("scrapes_total") == nil)
        #expect(try Exposed(registry.render()).value("scrapes_total") == 2)
    }

    @Test("the process metrics are those of this process")
    func process() throws {
        let registry = PrometheusRegistry()
        registry.addCollector(ProcessCollector().collect)
        let before = try Exposed(registry.render())
        let descriptor = open("/dev/null", O_RDONLY)
        let after = try Exposed(registry.render())
        close(descriptor)

        let now = Double(LogTime.now().seconds)
        let start = try #require(after.value("process_start_time_seconds"))
        #expect(start < now + 1 && start > now - 86_400)
        let cpu = try #require(after.value("process_cpu_seconds_total"))
        #expect(cpu >= 0 && cpu < 86_400)
        #expect(after.types["process_cpu_seconds_total"] == "counter")
        let resident = try #require(after.value("process_resident_memory_bytes"))
        #expect(resident > 1_000_000)
        #expect(try #require(after.value("process_memory_limit_bytes")) > resident)
        let opened = try #require(before.value("process_open_fds"))
        #expect(opened >= 3)
        #expect(try #require(after.value("process_max_fds")) >= opened)
    }

    @Test("a stat line is read after the last parenthesis of the command's name")
    func statLine() throws {
        let fields = (3...52).map { "\($0 * 10)" }.joined(separator: " ")
        let stat = try #require(ProcessStat(parsing: Array("42 (a) b) c) \(fields)\n".utf8)))
        #expect(stat.cpuTicks == 140 + 150)
        #expect(stat.startTicks == 220)
        #expect(stat.virtualBytes == 230)
        #expect(stat.residentPages == 240)
    }

    @Test("what is no stat line is refused", arguments: ["", "42 (a", "42 (a) S 1 2 3", "42 (a) " + "x ".repeated(60)])
    func statLineRefused(text: String) {
        #expect(ProcessStat(parsing: Array(text.utf8)) == nil)
    }
}

extension String {
    fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
