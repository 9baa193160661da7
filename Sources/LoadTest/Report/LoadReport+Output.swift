import Histogram
import LoadClient

extension LoadReport {
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
        json.member("tiers", self.recorder.tiers)
        json.member("body_bytes", self.recorder.bytes)
        json.open("latency_ms")
        json.member("from_intended", self.recorder.fromIntended)
        json.member("from_sent", self.recorder.fromSent)
        json.close()
        json.open("client")
        json.member("kept_up", self.clientFault == nil)
        if let clientFault { json.member("fault", clientFault) }
        json.member("lag_ms", self.recorder.lag)
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
            "\(self.scenario)  \(ReportText.number(self.rate))/s for \(ReportText.number(self.duration / .seconds(1))) s, "
                + "\(self.connections) connections, \(self.users) users, seed \(self.seed)"
        )
        if let preparation {
            lines.append("prepared by \(preparation.completed) requests in \(ReportText.number(preparation.seconds)) s")
        }
        lines.append(
            "sent \(self.recorder.sent)  completed \(self.recorder.completed)  "
                + "achieved \(ReportText.number(self.achievedRate))/s\(self.isInterrupted ? "  (interrupted)" : "")"
        )
        lines.append("latency in ms       p50       p90       p99     p99.9       max")
        lines.append("  from due     " + ReportText.row(self.recorder.fromIntended))
        lines.append("  from sent    " + ReportText.row(self.recorder.fromSent))
        lines.append(
            "status  " + ReportText.counts(self.recorder.statuses.map { (key: String($0.key), value: $0.value) })
        )
        lines.append("cache   " + ReportText.counts(self.recorder.tiers))
        lines.append(
            "errors  " + ReportText.counts(self.recorder.failures.map { (key: $0.key.rawValue, value: $0.value) })
        )
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
}
