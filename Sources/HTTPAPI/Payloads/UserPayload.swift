import NIOCore
import RecommendationCore
import Serving

/// What clients tell of users.
enum UserPayload {
    static func profile(_ value: JSONValue) throws(Problem) -> Profile {
        var reader = try FieldReader(value, fields: ["labels", "preferred_categories"], document: "one user object")
        let labels = reader.labels("labels", mayBeNull: false)?.compactMapValues(\.self) ?? [:]
        let categories = reader.names("preferred_categories", maximum: Profile.maximumCategories) ?? []
        try reader.check()
        return Profile(labels: labels, preferredCategories: categories)
    }

    static func consent(_ value: JSONValue) throws(Problem) -> Bool {
        var reader = try FieldReader(value, fields: ["personalization"], document: "one object")
        let consent = reader.flag("personalization", required: true)
        try reader.check()
        guard let consent else { throw .internalError("a required field is neither there nor missed") }
        return consent
    }
}

extension JSONWriter {
    static func document(of id: User.ID, _ user: StoredUser) -> ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.raw(#"{"user_id":"#)
        json.string(id.string)
        json.raw(#","labels":"#)
        json.labels(user.profile.labels)
        json.raw(#","preferred_categories":"#)
        json.list(user.profile.preferredCategories) { json, name in json.string(name) }
        json.raw(#","consent":{"personalization":"#)
        json.bool(user.consent)
        json.raw(#"},"suppressions":"#)
        json.suppressions(user.suppressions)
        json.raw(#","user_version":"#)
        json.integer(user.version)
        json.raw("}")
        return json.buffer
    }

    static func suppressions(of id: User.ID, _ user: StoredUser) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw(#"{"user_id":"#)
        json.string(id.string)
        json.raw(#","suppressions":"#)
        json.suppressions(user.suppressions)
        json.raw(#","user_version":"#)
        json.integer(user.version)
        json.raw("}")
        return json.buffer
    }

    static func document(of id: User.ID, version: User.Version, propagated: Bool) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw(#"{"user_id":"#)
        json.string(id.string)
        json.raw(#","user_version":"#)
        json.integer(version)
        json.announced(isPropagated: propagated, isComplete: nil)
        return json.buffer
    }

    private mutating func suppressions(_ suppressions: [Suppression]) {
        self.list(suppressions) { json, suppression in
            json.raw(#"{"kind":"#)
            json.string(suppression.kind.rawValue)
            json.raw(#","key":"#)
            json.string(suppression.key.string)
            json.raw("}")
        }
    }
}
