import NIOCore
import RecommendationCore
import Serving

/// An experiment as it is asked for.
struct ExperimentPayload {
    let order: ExperimentOrder

    static let allowedNames = "1 to \(Experiment.maximumName) of A-Za-z0-9._-, not dots alone"

    /// Whether a text can name an experiment or a variant.
    static func isName(_ text: String) -> Bool {
        PlainName.isValid(text) && text.utf8.count <= Experiment.maximumName
    }

    private static let fields = [
        "id", "surface", "unit", "layer", "percent", "variants", "allocation", "metric", "baseline", "mde", "alpha",
        "power",
    ]

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: Self.fields, document: "one object")
        let id = reader.name("id", required: true)
        let surface = reader.word("surface", allowed: PlainName.allowed) { PlainName.isValid($0) ? $0 : nil }
        _ = reader.word("unit", allowed: "user") { $0 == "user" ? $0 : nil }
        let layer = reader.name("layer", required: false)
        let share = reader.share("percent")
        let variants = reader.variants()
        let allocations = Experiment.Allocation.allCases.map(\.rawValue)
        let allocation = reader.word("allocation", allowed: allocations.joined(separator: "|")) {
            Experiment.Allocation(rawValue: $0)
        }
        let metrics = Experiment.Metric.allCases.map(\.rawValue)
        let metric = reader.word("metric", allowed: metrics.joined(separator: "|")) { Experiment.Metric(rawValue: $0) }
        var design = Experiment.Design(metric: metric ?? .clickThrough)
        design.baseline = reader.part("baseline", in: 0.000_1...0.999, "0.0001..0.999") ?? design.baseline
        design.effect = reader.part("mde", in: 0.001...10, "0.001..10") ?? design.effect
        design.alpha = reader.part("alpha", in: 0.000_1...0.5, "0.0001..0.5") ?? design.alpha
        design.power = reader.part("power", in: 0.5...0.999, "0.5..0.999") ?? design.power
        if design.baseline * (1 + design.effect) >= 1 {
            reader.add("mde", "out_of_range", allowed: "baseline times (1 + mde) below 1")
        }
        try reader.check()
        self.order = ExperimentOrder(
            id: id ?? "",
            surface: surface ?? "home",
            // By itself, unless it is said to share users with nobody else's.
            layer: layer ?? id ?? "",
            share: share,
            variants: variants,
            design: design,
            allocation: allocation ?? .fixed
        )
    }
}

/// The variants of an experiment that runs.
struct VariantsPayload {
    let variants: [Experiment.Variant]

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: ["variants"], document: #"{"variants":[{"name":"a","weight":50}]}"#)
        let variants = reader.variants()
        try reader.check()
        self.variants = variants
    }
}

extension FieldReader {
    /// The name of an experiment, of a layer, or of a variant.
    fileprivate mutating func name(_ field: String, required: Bool) -> String? {
        guard self.has(field) else {
            if required { self.add(field, "required", allowed: nil) }
            return nil
        }
        return self.word(field, allowed: ExperimentPayload.allowedNames) { ExperimentPayload.isName($0) ? $0 : nil }
    }

    fileprivate mutating func part(_ field: String, in range: ClosedRange<Double>, _ allowed: String) -> Double? {
        guard let number = self.number(field) else { return nil }
        guard range.contains(number) else {
            self.add(field, "out_of_range", allowed: allowed)
            return nil
        }
        return number
    }

    /// Two variants at least, of different names, whose weights add to 100 percent at most.
    fileprivate mutating func variants() -> [Experiment.Variant] {
        let found = self.errors.list.count
        let elements = self.elements("variants", maximum: Experiment.maximumVariants, of: "variants")
        var variants: [Experiment.Variant] = []
        for (index, element) in elements.enumerated() {
            do throws(Problem) {
                var reader = try FieldReader(
                    element,
                    fields: ["name", "weight", "policy", "model"],
                    document: #"{"name":"a","weight":50}"#,
                    at: self.pointer("variants").element(index)
                )
                let name = reader.name("name", required: true)
                let weight = reader.number("weight", required: true) ?? 0
                if !(0...100).contains(weight) {
                    reader.add("weight", "out_of_range", allowed: "0..100, in percent")
                }
                let policy = reader.word("policy", allowed: PlainName.allowed) { PlainName.isValid($0) ? $0 : nil }
                let model = reader.word("model", allowed: "a model version, for example m42") {
                    ModelVersion.number($0)
                }
                if let name, variants.contains(where: { $0.name == name }) {
                    reader.add("name", "duplicate", allowed: nil)
                }
                self.add(reader.errors)
                variants.append(
                    Experiment.Variant(
                        name: name ?? "",
                        weight: Int((max(0, min(100, weight)) * 100).rounded()),
                        policy: policy,
                        model: model
                    )
                )
            } catch {
                self.add(FieldErrors(error.errors))
            }
        }
        guard self.errors.list.count == found else { return variants }
        if elements.count == 1 {
            self.add("variants", "invalid", allowed: "2 to \(Experiment.maximumVariants)")
        } else if !(1...10_000).contains(variants.reduce(0) { $0 + $1.weight }) {
            self.add("variants", "out_of_range", allowed: "weights that add to more than 0, and to 100 at most")
        }
        return variants
    }
}

extension JSONWriter {
    static func document(_ experiments: [Experiment]) -> ByteBuffer {
        var json = JSONWriter(capacity: 64 + 512 * experiments.count)
        json.raw(#"{"experiments":"#)
        json.list(experiments) { json, experiment in
            json.raw("{")
            json.members(experiment)
            json.raw("}")
        }
        json.raw("}")
        return json.buffer
    }

    static func document(_ experiment: Experiment) -> ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.raw("{")
        json.members(experiment)
        json.raw("}")
        return json.buffer
    }

    /// - Parameter isComplete: Whether it is everywhere; nil: that was not asked.
    static func document(_ change: ExperimentChange, isComplete: Bool?) -> ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.raw("{")
        json.members(change.experiment)
        json.raw(#","epoch":"#)
        json.integer(change.epoch)
        json.announced(change.announcement, isComplete: isComplete)
        return json.buffer
    }

    static func document(_ results: ExperimentResults) -> ByteBuffer {
        var json = JSONWriter(capacity: 1_024)
        json.raw(#"{"id":"#)
        json.string(results.experiment.id)
        json.raw(#","metric":"#)
        json.string(results.experiment.design.metric.rawValue)
        json.raw(#","variants":"#)
        json.list(results.variants) { json, variant in
            let interval = variant.proportion.interval()
            json.raw(#"{"name":"#)
            json.string(variant.name)
            json.raw(#","exposures":"#)
            json.integer(variant.proportion.trials)
            json.raw(#","conversions":"#)
            json.integer(variant.proportion.successes)
            json.raw(#","rate":"#)
            json.double(variant.proportion.rate ?? .nan)
            json.raw(#","ci95":["#)
            json.double(interval.lowerBound)
            json.raw(",")
            json.double(interval.upperBound)
            json.raw("]")
            for (name, value) in [
                ("lift", variant.lift), ("p_value", variant.pValue), ("sequential_p_value", variant.sequentialPValue),
                ("p_best", variant.best),
            ] {
                json.raw(",")
                json.string(name)
                json.raw(":")
                json.double(value ?? .nan)
            }
            json.raw("}")
        }
        json.raw(#","required_per_variant":"#)
        json.integer(results.required)
        json.raw(#","srm_p":"#)
        json.double(results.ratio ?? .nan)
        json.raw(#","verdict":"#)
        json.string(results.verdict)
        json.raw("}")
        return json.buffer
    }

    private mutating func members(_ experiment: Experiment) {
        let design = experiment.design
        self.raw(#""id":"#)
        self.string(experiment.id)
        self.raw(#","state":"#)
        self.string(experiment.stoppedAt == nil ? "running" : "stopped")
        self.raw(#","surface":"#)
        self.string(experiment.surface)
        self.raw(#","unit":"user","layer":"#)
        self.string(experiment.layer)
        self.raw(#","percent":"#)
        self.number(Double(experiment.users.count(of: 0)) / 100)
        self.raw(#","variants":"#)
        self.list(experiment.variants) { json, variant in
            json.raw(#"{"name":"#)
            json.string(variant.name)
            json.raw(#","weight":"#)
            json.number(Double(variant.weight) / 100)
            json.raw(#","policy":"#)
            json.string(variant.policy)
            json.raw(#","model":"#)
            json.string(variant.model.map(ModelVersion.name))
            json.raw("}")
        }
        self.raw(#","allocation":"#)
        self.string(experiment.allocation.rawValue)
        self.raw(#","metric":"#)
        self.string(design.metric.rawValue)
        for (name, value) in [
            ("baseline", design.baseline), ("mde", design.effect), ("alpha", design.alpha), ("power", design.power),
        ] {
            self.raw(",")
            self.string(name)
            self.raw(":")
            self.double(value)
        }
        self.raw(#","required_per_variant":"#)
        self.integer(ExperimentService.required(design))
        self.raw(#","started_at":"#)
        self.string(experiment.startedAt.rfc3339)
        self.raw(#","stopped_at":"#)
        self.string(experiment.stoppedAt?.rfc3339)
    }
}
