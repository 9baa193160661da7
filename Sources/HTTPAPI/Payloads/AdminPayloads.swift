import NIOCore
import RecommendationCore
import Serving

/// A change of tombstones as it is asked for; the same document adds and removes.
struct TombstonePayload {
    private static let fields = ["kind", "ids", "reason", "expires_at"]
    private static let maximumIDs = 100_000

    let tombstones: [Tombstone]
    let reason: String?
    let expiresAt: Timestamp?

    /// - Parameter expiresAfter: A moment the tombstones must outlive; nil where they are taken away.
    init(_ value: JSONValue, expiresAfter now: Timestamp?) throws(Problem) {
        var reader = try FieldReader(value, fields: Self.fields, document: "one object")
        let kind = reader.choice("kind", among: Tombstone.Kind.allCases.map(\.rawValue)) { text in
            Tombstone.Kind(rawValue: text)
        }
        let keys: [Identifier<Tombstone>] = reader.identifiers("ids", maximum: Self.maximumIDs)
        self.reason = reader.text("reason", maximum: 1_024)
        self.expiresAt = reader.timestamp("expires_at")
        if let now, let end = self.expiresAt, end <= now {
            reader.add("expires_at", "out_of_range", allowed: "a time to come")
        }
        try reader.check()
        guard let kind else { throw .internalError("a required field is neither there nor missed") }
        self.tombstones = keys.map { Tombstone(kind: kind, key: $0) }
    }
}

/// A purge as it is asked for.
struct PurgePayload {
    private static let fields = ["scope", "id", "dry_run"]

    /// Any name of a purge: of a user, a surface, a model version, a policy version, a tenant.
    private enum Target {}

    let scope: PurgeScope
    let dryRun: Bool

    /// - Parameter ownTenant: What a purge of a tenant that names none is of; nil: it must name one.
    init(_ value: JSONValue, ownTenant: Tenant.ID?) throws(Problem) {
        var reader = try FieldReader(value, fields: Self.fields, document: "one object")
        let name = reader.choice("scope", among: PurgeScope.names) { text in
            PurgeScope.names.first { $0.hasSameBytes(as: text) }
        }
        let mayOmit = name == "tenant" && ownTenant != nil
        // Without a scope it cannot be said whether the id is missing.
        let id: Identifier<Target>? = reader.identifier("id", required: name != nil && !mayOmit)
        self.dryRun = reader.flag("dry_run") ?? false
        try reader.check()
        switch (name, id?.string ?? ownTenant?.string) {
        case ("user", let id?): self.scope = .user(User.ID(trusted: id))
        case ("surface", let id?): self.scope = .surface(id)
        case ("model", let id?): self.scope = .model(id)
        case ("policy", let id?): self.scope = .policy(id)
        case ("tenant", let id?): self.scope = .tenant(Tenant.ID(trusted: id))
        default: throw .internalError("a required field is neither there nor missed")
        }
    }
}

extension JSONWriter {
    /// - Parameters:
    ///   - changed: The name of the number that was changed, with its colon.
    ///   - unchanged: The name of the number that was so before.
    ///   - isComplete: Whether it is everywhere; nil: that was not asked.
    static func document(
        _ answer: TombstoneAnswer,
        changed: StaticString,
        unchanged: StaticString,
        isComplete: Bool?
    ) -> ByteBuffer {
        var json = JSONWriter(capacity: 128)
        json.raw(#"{"epoch":"#)
        json.integer(answer.epoch)
        json.raw(changed)
        json.integer(answer.changed)
        json.raw(unchanged)
        json.integer(answer.unchanged)
        json.announced(answer.announcement, isComplete: isComplete)
        return json.buffer
    }

    static func document(_ page: TombstonePage) -> ByteBuffer {
        var json = JSONWriter(capacity: 64 + 160 * page.tombstones.count)
        json.raw(#"{"tombstones":"#)
        json.list(page.tombstones) { json, listed in
            json.raw(#"{"kind":"#)
            json.string(listed.tombstone.kind.rawValue)
            json.raw(#","id":"#)
            json.string(listed.tombstone.key.string)
            json.raw(#","reason":"#)
            json.string(listed.reason)
            json.raw(#","expires_at":"#)
            json.string(listed.expiresAt?.rfc3339)
            json.raw(#","epoch":"#)
            json.integer(listed.epoch)
            json.raw(#","created_at":"#)
            json.string(listed.createdAt.rfc3339)
            json.raw("}")
        }
        json.raw(#","next_cursor":"#)
        json.string(page.nextCursor)
        json.raw("}")
        return json.buffer
    }

    /// - Parameters:
    ///   - scope: What was asked for: nothing done is said as its scope would say it.
    ///   - isComplete: Whether it is everywhere; nil: that was not asked.
    static func document(
        _ answer: PurgeAnswer,
        of scope: PurgeScope,
        dryRun: Bool,
        isComplete: Bool?
    ) -> ByteBuffer {
        var json = JSONWriter(capacity: 128)
        switch (answer, scope) {
        case (.generation(let epoch, let announcement), _):
            json.raw(#"{"epoch":"#)
            json.integer(epoch)
            json.raw(#","generation":"#)
            json.integer(epoch)
            json.announced(announcement, isComplete: isComplete)
        case (.user(let version, let announcement), _):
            json.raw(#"{"user_version":"#)
            json.integer(version)
            json.announced(announcement, isComplete: isComplete)
        case (.nothing, .user) where !dryRun:
            // A user without a row has version 0, and nothing that could be purged.
            json.raw(#"{"user_version":0"#)
            json.announced(isPropagated: true, isComplete: isComplete)
        case (.nothing, _):
            json.raw(#"{"dry_run":"#)
            json.bool(dryRun)
            json.raw("}")
        }
        return json.buffer
    }

    static func document(_ nodes: [NodeStatus]) -> ByteBuffer {
        var json = JSONWriter(capacity: 64 + 256 * nodes.count)
        json.raw(#"{"nodes":"#)
        json.list(nodes) { json, node in
            json.raw(#"{"id":"#)
            json.string(node.id)
            json.raw(#","started_at":"#)
            json.string(node.startedAt.rfc3339)
            json.raw(#","version":"#)
            json.string(node.version)
            json.raw(#","lease_age_ms":"#)
            if let age = node.leaseAgeMilliseconds { json.integer(age) } else { json.null() }
            json.raw(#","control_applied":"#)
            json.integer(node.controlApplied)
            json.raw(#","model":"#)
            json.string(node.model)
            json.raw(#","policy":"#)
            json.string(node.policy)
            json.raw(#","l1":{"entries":"#)
            json.integer(node.l1Entries)
            json.raw(#","bytes":"#)
            json.integer(node.l1Bytes)
            json.raw("}}")
        }
        json.raw("}")
        return json.buffer
    }
}
