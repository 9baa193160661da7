import App
import Training

/// What imports and validations tell when they are done: rejected lines on standard error, the sums on standard output.
enum Reports {
    static func show(_ report: ImportReport, examples: Int, json: Bool) {
        Self.show(report.rejected, examples: examples, json: json)
        guard json else {
            if report.isEmpty { Terminal.error("there is nothing in it") }
            return Terminal.line(report.summary)
        }
        Terminal.line(
            """
            {"items":{"new":\(report.itemsNew),"changed":\(report.itemsChanged),"unchanged":\(report.itemsUnchanged)},\
            "users":{"new":\(report.usersNew),"changed":\(report.usersChanged),"unchanged":\(report.usersUnchanged)},\
            "interactions":{"stored":\(report.interactionsStored),"unchanged":\(report.interactionsUnchanged)},\
            "rejected":\(report.rejected.count),"reasons":\(Self.reasons(report.rejected)),\
            "examples":\(Self.examples(report.rejected, examples)),\
            "generation":\(report.generation.map { "\($0)" } ?? "null"),"seconds":\(report.seconds)}
            """
        )
    }

    static func show(_ report: ValidationReport, examples: Int, json: Bool) {
        Self.show(report.rejected, examples: examples, json: json)
        let first = report.firstOutOfOrder
        guard json else {
            let order =
                first.map {
                    "\(report.outOfOrder) events earlier than the one before, the first at \($0.file):\($0.line)"
                }
                ?? "events are in order of time"
            Terminal.line(
                """
                \(report.items) items, \(report.users) users, \(report.interactions) interactions read, nothing stored
                \(report.rejected.count) rejected: \(report.unknownItems) unknown items, \(report.unknownTypes) unknown types, \
                \(report.duplicates) duplicates, \(report.badFields) bad lines or fields
                \(order)
                """
            )
            return
        }
        let place = first.map { "{\"file\":\(Self.quoted($0.file)),\"line\":\($0.line)}" } ?? "null"
        Terminal.line(
            """
            {"valid":\(report.isClean),"rows":\(report.rows),"items":\(report.items),"users":\(report.users),\
            "interactions":\(report.interactions),"rejected":\(report.rejected.count),\
            "unknown_items":\(report.unknownItems),"unknown_types":\(report.unknownTypes),\
            "duplicates":\(report.duplicates),"bad_fields":\(report.badFields),\
            "reasons":\(Self.reasons(report.rejected)),\
            "order":{"sorted":\(report.outOfOrder == 0),"out_of_order":\(report.outOfOrder),"first":\(place)},\
            "examples":\(Self.examples(report.rejected, examples)),"seconds":\(report.duration / .seconds(1))}
            """
        )
    }

    private static func show(_ rejected: RejectedLines, examples: Int, json: Bool) {
        guard !json else { return }
        for line in rejected.first.prefix(examples) { Terminal.error("rejected \(line)") }
        let untold = rejected.count - min(examples, rejected.first.count)
        if untold > 0 { Terminal.error("rejected \(untold) more lines") }
    }

    private static func reasons(_ rejected: RejectedLines) -> String {
        let members = rejected.reasons.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
        return "{\(members.joined(separator: ","))}"
    }

    private static func examples(_ rejected: RejectedLines, _ count: Int) -> String {
        let lines = rejected.first.prefix(count).map { line in
            """
            {"file":\(Self.quoted(line.file)),"line":\(line.line),"code":"\(line.reason.code)",\
            "reason":\(Self.quoted("\(line.reason)"))}
            """
        }
        return "[\(lines.joined(separator: ","))]"
    }

    /// A JSON string.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
