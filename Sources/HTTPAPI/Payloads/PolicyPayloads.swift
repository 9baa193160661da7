import NIOCore
import RecommendationCore
import Serving

/// An activation as it is asked for. Canaries are to come: until then it is of all requests or none.
struct ActivationPayload {
    let dryRun: Bool

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: ["percent", "dry_run"], document: "one object")
        let percent = reader.number("percent")
        if let percent, percent != 100 {
            reader.add("percent", (1..<100).contains(percent) ? "unsupported" : "out_of_range", allowed: "100")
        }
        self.dryRun = reader.flag("dry_run") ?? false
        try reader.check()
    }
}

/// A rollback as it is asked for.
struct RollbackPayload {
    let dryRun: Bool

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: ["dry_run"], document: "one object")
        self.dryRun = reader.flag("dry_run") ?? false
        try reader.check()
    }
}

extension JSONWriter {
    static func document(_ versions: [PolicyVersion], _ standing: PolicyStanding) -> ByteBuffer {
        var json = JSONWriter(capacity: 96 + 96 * versions.count)
        json.raw(#"{"active":"#)
        json.string(standing.active)
        json.raw(#","previous":"#)
        json.string(standing.previous)
        json.raw(#","epoch":"#)
        json.integer(standing.epoch)
        json.raw(#","policies":"#)
        json.list(versions) { json, version in
            json.raw(#"{"version":"#)
            json.string(version.version)
            json.raw(#","created_at":"#)
            json.string(version.createdAt?.rfc3339)
            json.raw(#","built_in":"#)
            json.bool(version.createdAt == nil)
            json.raw("}")
        }
        json.raw("}")
        return json.buffer
    }

    static func document(_ change: PolicyChange, isComplete: Bool?) -> ByteBuffer {
        var json = JSONWriter(capacity: 128)
        switch change {
        case .done(let standing, let announcement):
            json.raw(#"{"active":"#)
            json.string(standing.active)
            json.raw(#","previous":"#)
            json.string(standing.previous)
            json.raw(#","canary":null,"epoch":"#)
            json.integer(standing.epoch)
            json.announced(announcement, isComplete: isComplete)
        case .would(let version):
            json.raw(#"{"dry_run":true,"active":"#)
            json.string(version)
            json.raw("}")
        }
        return json.buffer
    }
}
