import Histogram
import LoadClient

extension LoadReport {
    private static let percentiles = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99_9", 99.9)]

    /// The report as one JSON object.
    package var json: String {
        var json = JSONWriter()
        json.open()
        json.member("scenario", self.scenario)
        json.member("addresses", self.addresses)
        json.member("rate", self.rate)
        json.member("duration_s", self.duration / .seconds(1))
        json.member("connections", self.connections)
        json.member("users", self.users)
        json.member("seed", String(self.seed))
        json.member("run", self.run)
        json.member("interrupted", self.isInterrupted)
        if let preparation {
            json.open("preparation")
            json.member("seconds", preparation.seconds)
            json.member("completed", preparation.completed)
            json.close()
        }
        json.member("elapsed_s", self.elapsed / .seconds(1))
        json.member("sent", self.recorder.sent)
        json.member("completed", self.recorder.completed)
        json.member("achieved_rate", self.achievedRate)
        json.open("errors")
        for failure in Failure.allCases { json.member(failure.rawValue, self.recorder.failures[failure] ?? 0) }
        json.close()
        json.open("statuses")
        for (status, count) in self.recorder.statuses.sorted(by: { $0.key < $1.key }) {
            json.member(String(status), count)
        }
        json.close()
        json.open("tiers")
        for (tier, count) in self.recorder.tiers.sorted(by: { $0.key < $1.key }) { json.member(tier, count) }
        json.close()
        json.member("body_bytes", self.recorder.bytes)
        json.open("latency_ms")
        self.latencies("from_intended", self.recorder.fromIntended, &json)
        self.latencies("from_sent", self.recorder.fromSent, &json)
        json.close()
        json.open("client")
        json.member("kept_up", self.clientFault == nil)
        if let clientFault { json.member("fault", clientFault) }
        self.latencies("lag_ms", self.recorder.lag, &json)
        json.member("cpu", self.clientLoad)
        json.member("delayed_by_busy_connections", self.recorder.delayed)
        json.member("most_waiting", self.mostWaiting)
        json.close()
        json.member("notes", self.notes)
        json.close()
        return json.text
    }

    /// The report for a person.
    package var lines: [String] {
        var lines: [String] = []
        lines.append(
            "\(self.scenario)  \(Self.number(self.rate))/s for \(Self.number(self.duration / .seconds(1))) s, "
                + "\(self.connections) connections, \(self.users) users, seed \(self.seed)"
        )
        if let preparation {
            lines.append("prepared by \(preparation.completed) requests in \(Self.number(preparation.seconds)) s")
        }
        lines.append(
            "sent \(self.recorder.sent)  completed \(self.recorder.completed)  "
                + "achieved \(Self.number(self.achievedRate))/s\(self.isInterrupted ? "  (interrupted)" : "")"
        )
        lines.append("latency in ms       p50       p90       p99     p99.9       max")
        lines.append("  from due     " + Self.row(self.recorder.fromIntended))
        lines.append("  from sent    " + Self.row(self.recorder.fromSent))
        lines.append("status  " + Self.counts(self.recorder.statuses.map { (String($0.key), $0.value) }))
        lines.append("cache   " + Self.counts(self.recorder.tiers.map { ($0.key, $0.value) }))
        lines.append("errors  " + Self.counts(self.recorder.failures.map { ($0.key.rawValue, $0.value) }))
        if self.recorder.delayed > 0 {
            lines.append(
                "\(self.recorder.delayed) requests waited for a free connection, \(self.mostWaiting) at once at most"
            )
        }
        if let clientFault {
            lines.append("THE CLIENT DID NOT KEEP UP: \(clientFault). These figures are not the server's alone.")
        } else {
            let lag = Double(self.recorder.lag.valueAtPercentile(99)) / 1_000
            let load = Int(self.clientLoad * 100)
            lines.append("the client kept up (p99 of its own delay \(lag) ms, \(load) % of a core)")
        }
        return lines + self.notes.map { "note: \($0)" }
    }

    private func latencies(_ name: String, _ latencies: Recorder.Latencies, _ json: inout JSONWriter) {
        json.open(name)
        for (name, percentile) in Self.percentiles {
            json.member(name, Double(latencies.valueAtPercentile(percentile)) / 1_000)
        }
        json.member("max", Double(latencies.max) / 1_000)
        json.member("count", Int(latencies.totalCount))
        json.close()
    }

    private static func row(_ latencies: Recorder.Latencies) -> String {
        let values = Self.percentiles.map { latencies.valueAtPercentile($0.1) } + [latencies.max]
        return values.map { value in
            let text = Self.number(Double(value) / 1_000)
            return String(repeating: " ", count: max(1, 10 - text.utf8.count)) + text
        }.joined().dropFirst(2).description
    }

    private static func counts(_ counts: [(String, Int)]) -> String {
        if counts.isEmpty { return "none" }
        return counts.sorted { $0.0 < $1.0 }.map { "\($0.0) \($0.1)" }.joined(separator: "  ")
    }

    private static func number(_ value: Double) -> String {
        let rounded = (value * 100).rounded() / 100
        return rounded == rounded.rounded() && rounded.magnitude < 1e15 ? String(Int64(rounded)) : rounded.description
    }
}
