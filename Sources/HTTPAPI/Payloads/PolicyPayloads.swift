import NIOCore
import RecommendationCore
import Serving

/// An activation as it is asked for.
struct ActivationPayload {
    let activation: PolicyActivation

    /// - Parameter expected: What the request's conditions name.
    init(_ value: JSONValue, expected: [Int64]?) throws(Problem) {
        var reader = try FieldReader(value, fields: ["percent", "dry_run"], document: "one object")
        let share = reader.share("percent")
        let dryRun = reader.flag("dry_run") ?? false
        try reader.check()
        self.activation = PolicyActivation(share: share, dryRun: dryRun, expected: expected)
    }
}

/// A rollback as it is asked for.
struct RollbackPayload {
    let activation: PolicyActivation

    /// - Parameter expected: What the request's conditions name.
    init(_ value: JSONValue, expected: [Int64]?) throws(Problem) {
        var reader = try FieldReader(value, fields: ["dry_run"], document: "one object")
        let dryRun = reader.flag("dry_run") ?? false
        try reader.check()
        self.activation = PolicyActivation(dryRun: dryRun, expected: expected)
    }
}

/// A dry run as it is asked for.
struct PolicyTrialPayload {
    let trial: PolicyTrial

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: ["users", "surface", "limit"], document: "one object")
        let most = Int64(PolicyTrial.userLimit)
        let users = reader.integer("users", in: 1...most, allowed: "1..\(most)")
        let limit = reader.integer("limit", in: 1...100, allowed: "1..100")
        let surface = reader.word("surface", allowed: PlainName.allowed) { PlainName.isValid($0) ? $0 : nil }
        try reader.check()
        self.trial = PolicyTrial(users: Int(users ?? 100), surface: surface ?? "home", limit: Int(limit ?? 10))
    }
}

extension FieldReader {
    /// A share of the users in percent, as hundredths of a percent; all where the field is absent.
    mutating func share(_ field: String) -> Int {
        let percent = self.number(field) ?? 100
        guard (0.01...100).contains(percent) else {
            self.add(field, "out_of_range", allowed: "0.01..100")
            return 10_000
        }
        return Int((percent * 100).rounded())
    }
}

extension JSONWriter {
    static func document(_ versions: [PolicyVersion], _ standing: PolicyStanding) -> ByteBuffer {
        var json = JSONWriter(capacity: 128 + 96 * versions.count)
        json.raw("{")
        json.standing(standing)
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
            json.raw("{")
            json.standing(standing)
            json.raw(#","epoch":"#)
            json.integer(standing.epoch)
            json.announced(announcement, isComplete: isComplete)
        case .would(let standing):
            json.raw(#"{"dry_run":true,"active":"#)
            json.string(standing.active)
            json.raw(#","canary":"#)
            json.canary(standing.canary)
            json.raw("}")
        }
        return json.buffer
    }

    static func document(_ comparison: PolicyComparison) -> ByteBuffer {
        var json = JSONWriter(capacity: 1_024)
        json.raw(#"{"version":"#)
        json.string(comparison.version)
        json.raw(#","against":"#)
        json.string(comparison.against)
        json.raw(#","surface":"#)
        json.string(comparison.trial.surface)
        json.raw(#","limit":"#)
        json.integer(comparison.trial.limit)
        json.raw(#","users":"#)
        json.integer(comparison.users)
        json.raw(#","changed_users":"#)
        json.integer(comparison.changedUsers)
        json.raw(#","changed_share":"#)
        json.number(comparison.users == 0 ? 0 : Double(comparison.changedUsers) / Double(comparison.users))
        json.raw(#","items":{"in":"#)
        json.integer(comparison.itemsIn)
        json.raw(#","out":"#)
        json.integer(comparison.itemsOut)
        json.raw(#","moved":"#)
        json.integer(comparison.itemsMoved)
        json.raw(#","kept":"#)
        json.integer(comparison.itemsKept)
        json.raw(#"},"before":"#)
        json.side(comparison.before)
        json.raw(#","after":"#)
        json.side(comparison.after)
        json.raw(#","examples":"#)
        json.list(comparison.examples) { json, example in
            json.raw(#"{"user_id":"#)
            json.string(example.user.string)
            json.raw(#","before":"#)
            json.list(example.before) { json, item in json.string(item.string) }
            json.raw(#","after":"#)
            json.list(example.after) { json, item in json.string(item.string) }
            json.raw("}")
        }
        json.raw("}")
        return json.buffer
    }

    private mutating func side(_ side: PolicyComparison.Side) {
        self.raw(#"{"short_lists":"#)
        self.integer(side.short)
        self.raw(#","filtered":{"policy":"#)
        self.integer(side.policy)
        self.raw(#","diversity":"#)
        self.integer(side.diversity)
        self.raw("}}")
    }

    private mutating func standing(_ standing: PolicyStanding) {
        self.raw(#""active":"#)
        self.string(standing.active)
        self.raw(#","previous":"#)
        self.string(standing.previous)
        self.raw(#","canary":"#)
        self.canary(standing.canary)
    }

    private mutating func canary(_ canary: PolicyCanary?) {
        guard let canary else { return self.null() }
        self.raw(#"{"version":"#)
        self.string(canary.version)
        self.raw(#","percent":"#)
        self.number(canary.percent)
        self.raw("}")
    }
}
