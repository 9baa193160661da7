import NIOCore
import RecommendationCore
import Serving

/// One event as a client sends it.
enum FeedbackPayload {
    private static let fields = [
        "event_id", "user_id", "item_id", "type", "value", "occurred_at", "tracking_token", "session_id",
    ]

    /// What names an event of its client.
    private enum ClientLabel {}

    static func request(_ value: JSONValue) throws(Problem) -> FeedbackRequest {
        var reader = try FieldReader(value, fields: Self.fields, document: "one event object")
        let eventID: Identifier<ClientLabel>? = reader.identifier("event_id", required: false)
        let user: User.ID? = reader.identifier("user_id", required: true)
        let item: Item.ID? = reader.identifier("item_id", required: true)
        // The use case judges the type too; here it is one of all the errors of the event.
        let type = reader.eventType()
        let value = reader.number("value")
        let occurredAt = reader.timestamp("occurred_at")
        let trackingToken = reader.text("tracking_token", maximum: 1_024)
        let session: Session.ID? = reader.identifier("session_id", required: false)
        try reader.check()
        guard let user, let item, let type else { throw .internalError("a required field is neither there nor missed") }
        return FeedbackRequest(
            eventID: eventID?.string,
            user: user,
            item: item,
            type: type.rawValue,
            value: value,
            occurredAt: occurredAt,
            trackingToken: trackingToken,
            session: session
        )
    }

    /// The answer to a call of one event; a rejected event is an invalid request.
    static func document(_ answer: FeedbackAnswer) throws(Problem) -> ByteBuffer {
        guard answer.rejected.isEmpty else {
            throw .invalid(
                answer.rejected.map { rejection in
                    FieldError(
                        pointer: Pointer(rejection.field).string,
                        code: rejection.code,
                        allowed: rejection.allowed
                    )
                }
            )
        }
        var json = JSONWriter(capacity: 128)
        json.raw(#"{"accepted":"#)
        json.integer(answer.accepted)
        json.raw(#","duplicates":"#)
        json.integer(answer.duplicates)
        json.raw(#","rejected":[],"user_version":"#)
        if let version = answer.userVersions.first?.version { json.integer(version) } else { json.null() }
        json.raw(#","propagated":"#)
        json.bool(answer.propagated)
        json.raw("}")
        return json.buffer
    }
}
