import HTTPTypes
import RecommendationCore
import Serving

/// `{"events":[{"item_id":"i1","type":"view"}],"session_id":"s1","user_id":null,"limit":10}`: what is asked for a session.
struct SessionPayload {
    private static let eventFields = ["item_id", "type", "value", "occurred_at"]

    let request: SessionRequest
    let explain: Explanation

    init(_ value: JSONValue, tenant: Tenant.ID, minimumVersion: User.Version, now: Timestamp) throws(Problem) {
        var reader = try FieldReader(
            value,
            fields: ["events", "session_id", "user_id"] + RecommendationQuery.fields,
            document: "one object of events"
        )
        let user: User.ID? = reader.identifier("user_id", required: false)
        let session: Session.ID? = reader.identifier("session_id", required: false)
        var events: [SessionRequest.Event] = []
        for (place, element) in reader.places("events", maximum: SessionRequest.maximumEvents, of: "events") {
            do {
                var own = try FieldReader(element, fields: Self.eventFields, document: "one event object", at: place)
                if let event = Self.event(&own, now: now) { events.append(event) }
                reader.add(own.errors)
            } catch {
                // What cannot be read is refused as it is; what is invalid is gathered.
                guard error.status == .unprocessableContent else { throw error }
                reader.add(FieldErrors(error.errors))
            }
        }
        var query = try RecommendationQuery(&reader, user: user ?? TokenSigner.nobody, tenant: tenant)
        query.request.minimumVersion = minimumVersion
        self.request = SessionRequest(query.request, session: session, events: events)
        self.explain = query.explain
    }

    /// nil where something is wrong with it, which the reader knows.
    private static func event(_ reader: inout FieldReader, now: Timestamp) -> SessionRequest.Event? {
        let item: Item.ID? = reader.identifier("item_id", required: true)
        let type = reader.eventType()
        let value = reader.number("value")
        let occurredAt = reader.timestamp("occurred_at")
        guard let item, let type, reader.errors.list.isEmpty else { return nil }
        do {
            let content = try EventContent(type: type.rawValue, value: value, occurredAt: occurredAt, now: now)
            return SessionRequest.Event(
                item: item,
                type: content.type,
                value: content.value,
                occurredAt: occurredAt
            )
        } catch {
            reader.add(error.field, error.code, allowed: error.allowed)
            return nil
        }
    }
}
