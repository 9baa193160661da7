import LoadClient

extension CheckReport {
    /// The report as one JSON object.
    package var json: String {
        var json = JSONWriter()
        let total = self.verdict.total
        json.open()
        json.member("holds", self.faults.isEmpty)
        json.member("faults", self.faults)
        json.member("pairs", total.pairs)
        json.member("violations", total.violations)
        json.member("incidental", total.incidental)
        json.member("repeated_ids", self.verdict.repeated)
        json.member("unpropagated_reads", total.unpropagatedReads)
        json.open("unverified")
        json.member("answers", self.verdict.unverified)
        json.member("exempt", total.exempt)
        json.member("exempt_shown", total.exemptShown)
        json.close()
        json.open("kinds")
        for kind in self.options.kinds {
            let tally = self.verdict[kind]
            json.open(kind.rawValue)
            json.member("writes", tally.writes)
            json.member("acknowledged", tally.acknowledged)
            json.member("unpropagated", tally.unpropagated)
            json.member("unknown", tally.unknown)
            json.member("pairs", tally.pairs)
            json.member("incidental", tally.incidental)
            json.member("violations", tally.violations)
            json.close()
        }
        json.close()
        json.open("staleness_ms")
        json.member("own", self.verdict.own)
        json.member("other", self.verdict.other)
        json.close()
        json.member("reads", self.verdict.reads)
        json.member("tiers", self.traffic.tiers)
        json.open("errors")
        json.member("reads", self.traffic.readErrors)
        json.member("writes", self.traffic.writeErrors)
        json.close()
        json.openList("examples")
        for violation in self.verdict.examples { self.member(violation, &json) }
        json.closeList()
        json.member("nodes", self.options.nodes.map(\.description))
        json.member("users", self.options.users.count)
        json.member("users_set_aside", self.usersSetAside)
        json.member("bound_ms", self.options.bound / .milliseconds(1))
        json.member("client_lag_ms", self.lag / .milliseconds(1))
        json.member("duration_s", self.options.duration / .seconds(1))
        json.member("elapsed_s", self.elapsed / .seconds(1))
        json.member("interrupted", self.isInterrupted)
        json.member("seed", String(self.options.seed))
        json.member("run", self.run)
        json.member("notes", self.notes)
        json.close()
        return json.text
    }

    /// The report for a person.
    package var lines: [String] {
        let total = self.verdict.total
        var lines = self.verdict.examples.map(self.text)
        lines.append(
            "\(total.pairs) pairs judged, \(total.violations) violations; \(total.acknowledged) writes, "
                + "\(self.verdict.reads) lists in \(ReportText.number(self.elapsed / .seconds(1))) s"
                + (self.isInterrupted ? " (interrupted)" : "")
        )
        for kind in self.options.kinds {
            let tally = self.verdict[kind]
            lines.append(
                "  \(kind.rawValue): \(tally.acknowledged) writes, \(tally.pairs) pairs and \(tally.incidental) incidental, "
                    + "\(tally.violations) violations, \(tally.unpropagated) unpropagated, \(tally.unknown) unknown"
            )
        }
        lines.append("staleness in ms       p50       p90       p99     p99.9       max")
        lines.append("  its own node " + ReportText.row(self.verdict.own))
        lines.append("  other nodes  " + ReportText.row(self.verdict.other))
        lines.append("tiers   " + ReportText.counts(self.traffic.tiers))
        lines.append(
            "errors  reads: \(ReportText.counts(self.traffic.readErrors)); writes: \(ReportText.counts(self.traffic.writeErrors))"
        )
        if self.verdict.unverified > 0 {
            lines.append(
                "\(self.verdict.unverified) answers said that they were not verified; \(total.exempt) of the pairs are for "
                    + "that not judged, and \(total.exemptShown) of these showed what was before"
            )
        }
        if total.unpropagatedReads > 0 {
            lines.append("\(total.unpropagatedReads) reads came after writes that said that they were not propagated")
        }
        if self.usersSetAside > 0 { lines.append("\(self.usersSetAside) users had no list to speak of, or no consent") }
        lines += self.notes.map { "note: \($0)" }
        return lines + self.faults.map { "NOT SHOWN TO HOLD: \($0)" }
    }

    private func member(_ violation: Violation, _ json: inout JSONWriter) {
        json.open()
        json.member("kind", violation.write.kind.rawValue)
        if let user = violation.write.user ?? violation.read.user { json.member("user", user.text) }
        if let item = violation.write.item { json.member("item", item.text) }
        json.member("bound_ms", violation.bound / .milliseconds(1))
        json.open("write")
        if let node = violation.write.node { json.member("node", self.options.nodes[node].description) }
        json.member("begin_ms", violation.write.begin / .milliseconds(1))
        json.member("end_ms", violation.acknowledgement.at / .milliseconds(1))
        if let version = violation.acknowledgement.userVersion { json.member("user_version", Int(version)) }
        json.member("propagated", violation.acknowledgement.propagated)
        json.close()
        json.open("read")
        json.member("node", self.options.nodes[violation.read.node].description)
        json.member("path", violation.read.path)
        json.member("begin_ms", violation.read.begin / .milliseconds(1))
        json.member("end_ms", violation.read.end / .milliseconds(1))
        if violation.read.minimumVersion > 0 { json.member("min_version", Int(violation.read.minimumVersion)) }
        json.member("declared", violation.read.declared)
        json.close()
        json.close()
    }

    private func text(_ violation: Violation) -> String {
        let (write, read, answer) = (violation.write, violation.read, violation.acknowledgement)
        func span(_ begin: Duration, _ end: Duration) -> String {
            "\(ReportText.number(begin / .milliseconds(1)))..\(ReportText.number(end / .milliseconds(1))) ms"
        }
        return
            "VIOLATION \(write.kind.rawValue) of \((write.item ?? OpaqueID(write.kind == .purge ? "what was computed" : "personalised lists")).text)"
            + (write.user.map { " for \($0)" } ?? "")
            + ": written at \(write.node.map { self.options.nodes[$0].description } ?? "the fleet") "
            + span(write.begin, answer.at) + (answer.userVersion.map { ", user_version \($0)" } ?? "")
            + "; still shown by \(self.options.nodes[read.node]) in \(read.path) "
            + span(read.begin, read.end) + (read.minimumVersion > 0 ? ", X-Min-Version \(read.minimumVersion)" : "")
            + " (\(read.declared)); allowed for \(ReportText.number(violation.bound / .milliseconds(1))) ms, seen after "
            + "\(ReportText.number((read.begin - answer.at) / .milliseconds(1))) ms"
    }
}
