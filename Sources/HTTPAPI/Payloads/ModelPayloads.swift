import NIOCore
import RecommendationCore
import Serving

/// An activation of a model as it is asked for.
struct ModelActivationPayload {
    let activation: ModelActivation

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: ["percent", "force", "dry_run"], document: "one object")
        let share = reader.share("percent")
        let force = reader.flag("force") ?? false
        let dryRun = reader.flag("dry_run") ?? false
        try reader.check()
        self.activation = ModelActivation(share: share, force: force, dryRun: dryRun)
    }
}

/// A training as it is asked for.
struct TrainingPayload {
    let order: ModelJob.Order

    init(_ value: JSONValue, recipes: [String]) throws(Problem) {
        var reader = try FieldReader(value, fields: ["recipe", "activate", "force"], document: "one object")
        let recipe = reader.word("recipe", allowed: recipes.joined(separator: "|")) { text in
            recipes.first { $0.hasSameBytes(as: text) }
        }
        let activates = reader.flag("activate") ?? false
        let forces = reader.flag("force") ?? false
        if forces, !activates { reader.add("force", "invalid", allowed: "true only with activate") }
        try reader.check()
        self.order = ModelJob.Order(recipe: recipe, activates: activates, forces: forces)
    }
}

extension JSONWriter {
    static func document(_ versions: [ModelVersion], _ standing: ModelStanding) -> ByteBuffer {
        var json = JSONWriter(capacity: 128 + 512 * versions.count)
        json.raw("{")
        json.standing(standing)
        json.raw(#","models":"#)
        json.list(versions) { json, version in json.model(version, standing) }
        json.raw("}")
        return json.buffer
    }

    static func document(_ version: ModelVersion, _ standing: ModelStanding) -> ByteBuffer {
        var json = JSONWriter(capacity: 1_024)
        json.model(version, standing)
        return json.buffer
    }

    static func document(_ change: ModelChange, isComplete: Bool?) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw("{")
        if change.announcement == nil { json.raw(#""dry_run":true,"#) }
        json.standing(change.standing)
        if let finding = change.finding {
            json.raw(#","comparison":"#)
            switch finding {
            case .passed: json.raw(#""passed""#)
            case .notCompared: json.raw(#""not_compared""#)
            case .failed: json.raw(#""forced""#)
            }
            json.raw(#","nodes_late":"#)
            json.integer(change.late)
        }
        if let announcement = change.announcement {
            json.announced(announcement, isComplete: isComplete)
        } else {
            json.raw("}")
        }
        return json.buffer
    }

    static func document(_ job: ModelJob) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw(#"{"job":"#)
        json.string(ModelJob.name(job.number))
        json.raw(#","state":"#)
        json.string(job.state.rawValue)
        json.raw(#","recipe":"#)
        json.string(job.order.recipe)
        json.raw(#","activate":"#)
        json.bool(job.order.activates)
        json.raw(#","model":"#)
        json.string(job.model.map(ModelVersion.name))
        json.times(reason: job.reason, created: job.createdAt, started: job.startedAt, finished: job.finishedAt)
        return json.buffer
    }

    private mutating func standing(_ standing: ModelStanding) {
        self.raw(#""active":"#)
        self.string(standing.active.map(ModelVersion.name))
        self.raw(#","canary":"#)
        if let canary = standing.canary {
            self.raw(#"{"version":"#)
            self.string(ModelVersion.name(canary.number))
            self.raw(#","percent":"#)
            self.number(canary.percent)
            self.raw("}")
        } else {
            self.null()
        }
        self.raw(#","previous":"#)
        self.string(standing.previous.map(ModelVersion.name))
        self.raw(#","epoch":"#)
        self.integer(standing.epoch)
    }

    private mutating func model(_ model: ModelVersion, _ standing: ModelStanding) {
        self.raw(#"{"version":"#)
        self.string(ModelVersion.name(model.number))
        self.raw(#","state":"#)
        self.string(model.state.rawValue)
        self.raw(#","percent":"#)
        self.number(standing.percent(of: model.number))
        self.raw(#","built_at":"#)
        self.string(model.builtAt.rfc3339)
        self.raw(#","recipe":"#)
        self.string(model.recipe)
        self.raw(#","parameters":"#)
        self.figures(model.parameters)
        self.raw(#","first_event":"#)
        self.string(model.firstEvent?.rfc3339)
        self.raw(#","last_event":"#)
        self.string(model.lastEvent?.rfc3339)
        self.raw(#","interactions":"#)
        self.integer(model.interactions)
        self.raw(#","users":"#)
        self.integer(model.users)
        self.raw(#","items":"#)
        self.integer(model.items)
        self.raw(#","bytes":"#)
        self.integer(model.bytes)
        self.raw(#","checksum":"#)
        self.string(model.checksumText)
        self.raw(#","metrics":"#)
        self.figures(model.metrics)
        self.raw(#","baseline":"#)
        if let baseline = model.baseline {
            self.raw(#"{"version":"#)
            self.string(ModelVersion.name(baseline.number))
            self.raw(#","metrics":"#)
            self.figures(baseline.metrics)
            self.raw("}")
        } else {
            self.null()
        }
        self.raw("}")
    }

    private mutating func figures(_ figures: [String: Double]) {
        self.raw("{")
        for (index, figure) in figures.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { self.raw(",") }
            self.string(figure.key)
            self.raw(":")
            self.double(figure.value)
        }
        self.raw("}")
    }
}
