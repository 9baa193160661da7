import RecommendationCore

/// An event as in `POST /v1/feedback`, with the recommendation it answers in place of a token, which an import cannot verify.
enum FeedbackDocument {
    static let fields = [
        "event_id", "user_id", "item_id", "type", "value", "occurred_at", "recommendation_id", "position", "session_id",
        "tracking_token",
    ]

    static let values: ClosedRange<Float> = -1e6...1e6
    /// To 2200-01-01: a history sorted by a far future never shows what came after.
    static let moments = Timestamp(seconds: 0)...Timestamp(seconds: 7_258_118_400)
    static let types = EventType.allCases.map(\.rawValue).joined(separator: "|")

    /// What names an event of its client, or a session.
    private enum ClientLabel {}

    static func interaction(_ document: Document, line: Int) throws(Rejection) -> ImportedInteraction {
        let eventID: Identifier<ClientLabel>? = try document.optionalIdentifier(0)
        let user: User.ID = try document.identifier(1)
        let item: Item.ID = try document.identifier(2)
        guard let name = try document.text(3, maximum: 1_024) else { throw .missingField("type") }
        guard let type = EventType(rawValue: name) else { throw .unknownType(String(name.prefix(80))) }
        let value = try document.number(4, in: Self.values)
        // Without it, the same file read again would be other events.
        guard let occurredAt = try document.timestamp(5) else { throw .missingField("occurred_at") }
        guard Self.moments.contains(occurredAt) else { throw .outOfRange(column: "occurred_at") }
        guard type != .rating || value != nil else { throw .missingField("value") }
        let _: Identifier<ClientLabel>? = try document.optionalIdentifier(8)
        _ = try document.text(9, maximum: 1_024)
        return ImportedInteraction(
            line: line,
            user: user,
            item: item,
            type: type,
            value: value ?? 1,
            occurredAt: occurredAt,
            eventID: eventID?.string,
            attribution: try Self.attribution(document)
        )
    }

    static func write(_ interaction: ImportedInteraction, to line: inout DocumentWriter) {
        line.begin()
        line.string(interaction.eventID, "event_id")
        line.string(interaction.user.string, "user_id")
        line.string(interaction.item.string, "item_id")
        line.string(interaction.type.rawValue, "type")
        line.number(interaction.value, "value")
        line.timestamp(interaction.occurredAt, "occurred_at")
        line.string(interaction.attribution.map { Self.hexadecimal($0.recommendationID) }, "recommendation_id")
        line.integer(interaction.attribution?.position, "position")
        line.end()
    }

    private static func attribution(_ document: Document) throws(Rejection) -> Attribution? {
        let position = try document.integer(7, in: 0...Int(Int16.max))
        guard let text = try document.text(6, maximum: 128) else {
            guard position == nil else { throw document.bad(7, "left out without recommendation_id") }
            return nil
        }
        guard let position else { throw .missingField("position") }
        guard let id = Self.bytes(text) else { throw document.bad(6, "hexadecimal digits in pairs") }
        return Attribution(recommendationID: id, position: position)
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let values = text.utf8.map { digit in Self.digits.firstIndex(of: digit) }
        guard values.count.isMultiple(of: 2), !values.contains(nil) else { return nil }
        return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0]! << 4 | values[$0 + 1]!) }
    }
}
