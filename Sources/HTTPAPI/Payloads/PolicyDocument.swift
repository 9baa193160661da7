import NIOCore
import RecommendationCore
package import Serving

/// The JSON document of a policy: what may be sent, and what is stored.
///
/// What is missing takes the built-in policy's value; what is written is always whole. It is as strict with what is stored
/// as with what is sent: a name that this program does not know stands for something that would silently not hold.
enum PolicyDocument {
    static let fields = [
        "weights", "diversity", "frequency_caps", "seen_filter", "event_weights", "invalidating_events",
        "half_life_days", "ttl", "pool_size", "fallback", "static_items", "on_unverified", "surfaces",
        "exploration", "eligibility", "boosts", "pins", "surface_overrides", "mmr", "decisions",
    ]
    /// What a surface may have of its own.
    static let overridable = [
        "weights", "diversity", "seen_filter", "event_weights", "half_life_days", "ttl", "pool_size", "fallback",
        "static_items", "exploration", "eligibility", "boosts", "pins", "mmr",
    ]

    static func read(_ value: JSONValue, version: String) throws(Problem) -> Policy {
        var policy = Policy.builtIn
        policy.version = version
        var reader = DocumentReader()
        if let document = reader.object(value, at: .root, known: Self.fields) { reader.policy(document, &policy) }
        try reader.check()
        return policy
    }
}

extension DocumentReader {
    /// Entries of a cache live no longer, and the journal is kept for as long.
    private static let lifetimes = 1...86_400
    /// Active users' lists are not computed more often than that.
    private static let activeLifetimes = 5...86_400

    fileprivate mutating func policy(_ document: Object, _ policy: inout Policy) {
        func at(_ name: String) -> Pointer { document.pointer.member(name) }
        if let value = document["weights"] { self.weights(value, at("weights"), &policy.weights) }
        if let value = document["diversity"] { self.diversity(value, at("diversity"), &policy) }
        if let value = document["mmr"] {
            policy.marginalRelevance = self.marginalRelevance(value, at("mmr")) ?? policy.marginalRelevance
        }
        if let value = document["seen_filter"], let flag = self.flag(value, at: at("seen_filter")) {
            policy.seenFilter = flag
        }
        if let value = document["event_weights"] {
            self.eventWeights(value, at("event_weights"), &policy.eventWeights)
        }
        if let value = document["invalidating_events"] {
            let types = self.distinct(value, at: at("invalidating_events"), count: 0...8, of: "event types") {
                $0.eventType($1, $2)
            }
            policy.invalidatingEvents = Set(types)
        }
        if let value = document["half_life_days"],
            let days = self.number(value, at: at("half_life_days"), in: 0.01...36_500)
        {
            policy.halfLifeDays = days
        }
        if let value = document["ttl"] { self.ttl(value, at("ttl"), &policy) }
        if let value = document["pool_size"], let size = self.integer(value, at: at("pool_size"), in: 10...1_000) {
            policy.poolSize = size
        }
        if let value = document["fallback"] {
            let steps = Policy.FallbackStep.allCases
            policy.fallback = self.distinct(value, at: at("fallback"), count: 0...steps.count, of: "fallbacks") {
                $0.choice($1, at: $2, among: steps.map(\.rawValue), Policy.FallbackStep.init(rawValue:))
            }
        }
        if let value = document["static_items"] {
            policy.staticItems = self.distinct(value, at: at("static_items"), count: 0...1_000, of: "item ids") {
                $0.identifier($1, at: $2)
            }
        }
        if let value = document["on_unverified"] {
            let words = Policy.Unverified.allCases.map(\.rawValue)
            policy.onUnverified =
                self.choice(value, at: at("on_unverified"), among: words, Policy.Unverified.init(rawValue:))
                ?? policy.onUnverified
        }
        if let value = document["surfaces"] {
            policy.surfaces = self.distinct(value, at: at("surfaces"), count: 1...64, of: "names") {
                $0.name($1, $2)
            }
        }
        if let value = document["decisions"] {
            policy.recordedPercent = self.recordedPercent(value, at("decisions")) ?? policy.recordedPercent
        }
        // After the surfaces that they name.
        if let value = document["frequency_caps"] {
            policy.frequencyCaps = self.frequencyCaps(value, at("frequency_caps"), surfaces: policy.surfaces)
        }
        if let value = document["exploration"] { self.exploration(value, at("exploration"), &policy.exploration) }
        if let value = document["eligibility"] { policy.eligibility = self.expression(value, at("eligibility")) }
        if let value = document["boosts"] { policy.boosts = self.boosts(value, at("boosts")) }
        if let value = document["pins"] { policy.pins = self.pins(value, at("pins")) }
        // Last: what they leave out is as above.
        if let value = document["surface_overrides"] { self.overrides(value, at("surface_overrides"), &policy) }
    }

    /// The policies of single surfaces, each read as the document is, but that what it leaves out takes the value that holds on
    /// the other surfaces.
    private mutating func overrides(_ value: JSONValue, _ pointer: Pointer, _ policy: inout Policy) {
        guard let object = self.object(value, at: pointer, known: policy.surfaces) else { return }
        var overrides: [Policy.SurfaceOverride] = []
        for member in object.members where policy.offers(surface: member.name) {
            let place = pointer.member(member.name)
            guard let document = self.object(member.value, at: place, known: PolicyDocument.overridable) else {
                continue
            }
            var own = policy
            self.policy(document, &own)
            overrides.append(Policy.SurfaceOverride(surface: member.name, policy: own))
        }
        policy.surfaceOverrides = overrides.sorted { $0.surface.utf8.lexicographicallyPrecedes($1.surface.utf8) }
    }

    private mutating func weights(_ value: JSONValue, _ pointer: Pointer, _ weights: inout Policy.Weights) {
        let names = ["collaborative", "content", "popularity"]
        guard let object = self.object(value, at: pointer, known: names) else { return }
        let paths: [WritableKeyPath<Policy.Weights, Float>] = [\.collaborative, \.content, \.popularity]
        var areSound = true
        for (name, path) in zip(names, paths) {
            guard let value = object[name] else { continue }
            if let weight = self.number(value, at: pointer.member(name), in: 0...1) {
                weights[keyPath: path] = Float(weight)
            } else {
                areSound = false
            }
        }
        let sum = weights.collaborative + weights.content + weights.popularity
        if areSound, abs(sum - 1) > 0.001 { self.add(pointer, "invalid_sum", allowed: "weights with a sum of 1") }
    }

    private mutating func diversity(_ value: JSONValue, _ pointer: Pointer, _ policy: inout Policy) {
        policy.maximumPerWindow = 0
        policy.creatorCap = nil
        let names = ["field", "max_per_window", "window"]
        var known: Set<DiversityField> = []
        for (place, rule) in self.array(value, at: pointer, count: 0...2, of: "rules") {
            guard let object = self.object(rule, at: place, known: names) else { continue }
            for name in names where object[name] == nil { self.add(place.member(name), "required", allowed: nil) }
            let field = object["field"].flatMap {
                let words = DiversityField.allCases.map(\.rawValue)
                return self.choice($0, at: place.member("field"), among: words, DiversityField.init(rawValue:))
            }
            if let field, !known.insert(field).inserted {
                self.add(place.member("field"), "duplicate", allowed: "each field once")
            }
            let window = object["window"].flatMap { self.integer($0, at: place.member("window"), in: 1...100) }
            let maximum = object["max_per_window"].flatMap {
                self.integer($0, at: place.member("max_per_window"), in: 1...(window ?? policy.window))
            }
            guard let window, let maximum else { continue }
            switch field {
            case .category: (policy.maximumPerWindow, policy.window) = (maximum, window)
            case .creator: policy.creatorCap = Policy.DiversityCap(maximum: maximum, window: window)
            case nil: break
            }
        }
    }

    /// What a cap is of.
    private enum DiversityField: String, CaseIterable {
        case category, creator
    }

    private mutating func marginalRelevance(_ value: JSONValue, _ pointer: Pointer) -> Double? {
        guard let object = self.object(value, at: pointer, known: ["lambda"]) else { return nil }
        guard let lambda = object["lambda"] else {
            self.add(pointer.member("lambda"), "required", allowed: nil)
            return nil
        }
        return self.number(lambda, at: pointer.member("lambda"), in: 0...1)
    }

    private mutating func eventWeights(
        _ value: JSONValue,
        _ pointer: Pointer,
        _ weights: inout [EventType: Float]
    ) {
        guard let object = self.object(value, at: pointer, known: nil) else { return }
        for member in object.members {
            let place = pointer.member(member.name)
            guard let type = self.eventType(.string(member.name), place) else { continue }
            if case .null = member.value { continue }
            if let weight = self.number(member.value, at: place, in: -100...100) { weights[type] = Float(weight) }
        }
        if !weights.values.contains(where: { $0 > 0 }) {
            self.add(pointer, "invalid", allowed: "weights of which one at least is above 0")
        }
    }

    private mutating func ttl(_ value: JSONValue, _ pointer: Pointer, _ policy: inout Policy) {
        let names = ["soft_s", "active_s", "hard_s", "jitter_pct"]
        guard let object = self.object(value, at: pointer, known: names, nullable: ["active_s"]) else { return }
        var areSound = true
        func seconds(_ name: String, _ reader: inout Self) -> Duration? {
            guard let value = object[name] else { return nil }
            let seconds = reader.integer(value, at: pointer.member(name), in: Self.lifetimes)
            if seconds == nil { areSound = false }
            return seconds.map { .seconds($0) }
        }
        policy.softTTL = seconds("soft_s", &self) ?? policy.softTTL
        policy.hardTTL = seconds("hard_s", &self) ?? policy.hardTTL
        if areSound, policy.softTTL > policy.hardTTL {
            let hard = policy.hardTTL.components.seconds
            self.add(pointer.member("soft_s"), "out_of_range", allowed: "at most hard_s, \(hard)")
        }
        if object.isNull("active_s") { policy.activeTTL = nil }
        if let value = object["active_s"],
            let seconds = self.integer(value, at: pointer.member("active_s"), in: Self.activeLifetimes)
        {
            policy.activeTTL = .seconds(seconds)
            if areSound, policy.softTTL < .seconds(seconds) {
                let soft = policy.softTTL.components.seconds
                self.add(pointer.member("active_s"), "out_of_range", allowed: "at most soft_s, \(soft)")
            }
        }
        if let value = object["jitter_pct"],
            let percent = self.number(value, at: pointer.member("jitter_pct"), in: 0...10)
        {
            policy.jitterPercent = percent
        }
    }

    private mutating func recordedPercent(_ value: JSONValue, _ pointer: Pointer) -> Double? {
        guard let object = self.object(value, at: pointer, known: ["percent"]) else { return nil }
        return object["percent"].flatMap { self.number($0, at: pointer.member("percent"), in: 0...100) }
    }

    private mutating func exploration(
        _ value: JSONValue,
        _ pointer: Pointer,
        _ exploration: inout Policy.Exploration
    ) {
        guard let object = self.object(value, at: pointer, known: ["share", "max_age_days"]) else { return }
        if let value = object["share"], let share = self.number(value, at: pointer.member("share"), in: 0...0.5) {
            exploration.share = share
        }
        if let value = object["max_age_days"],
            let days = self.integer(value, at: pointer.member("max_age_days"), in: 1...365)
        {
            exploration.maximumAgeDays = days
        }
    }

    private mutating func eventType(_ value: JSONValue, _ pointer: Pointer) -> EventType? {
        let words = EventType.allCases.map(\.rawValue)
        return self.choice(value, at: pointer, among: words, code: "unknown_type", EventType.init(rawValue:))
    }

    private mutating func name(_ value: JSONValue, _ pointer: Pointer) -> String? {
        guard case .string(let text) = value, PlainName.isValid(text) else {
            self.add(pointer, "invalid", allowed: PlainName.allowed)
            return nil
        }
        return text
    }
}

extension JSONWriter {
    /// The whole document of a policy, every field in the order of the contract; of rules only what there is.
    static func document(_ policy: Policy) -> ByteBuffer {
        var json = JSONWriter(capacity: 1_024)
        json.raw("{")
        json.scoring(policy)
        json.frequencyCaps(policy.frequencyCaps)
        json.raw(",")
        json.choosing(policy)
        json.raw(#","invalidating_events":"#)
        let invalidating = EventType.allCases.filter(policy.invalidatingEvents.contains)
        json.list(invalidating) { json, type in json.string(type.rawValue) }
        json.raw(",")
        json.lasting(policy)
        json.raw(#","on_unverified":"#)
        json.string(policy.onUnverified.rawValue)
        json.raw(#","surfaces":"#)
        json.list(policy.surfaces) { json, surface in json.string(surface) }
        json.raw(",")
        json.ruling(policy, isOverride: false)
        if policy.recordedPercent > 0 {
            json.raw(#","decisions":{"percent":"#)
            json.number(policy.recordedPercent)
            json.raw("}")
        }
        if !policy.surfaceOverrides.isEmpty {
            json.raw(#","surface_overrides":{"#)
            for (index, own) in policy.surfaceOverrides.enumerated() {
                if index > 0 { json.raw(",") }
                json.string(own.surface)
                json.raw(":{")
                json.scoring(own.policy)
                json.raw(",")
                json.choosing(own.policy)
                json.raw(",")
                json.lasting(own.policy)
                json.raw(",")
                json.ruling(own.policy, isOverride: true)
                json.raw("}")
            }
            json.raw("}")
        }
        json.raw("}")
        return json.buffer
    }

    private mutating func scoring(_ policy: Policy) {
        self.raw(#""weights":{"collaborative":"#)
        self.number(policy.weights.collaborative)
        self.raw(#","content":"#)
        self.number(policy.weights.content)
        self.raw(#","popularity":"#)
        self.number(policy.weights.popularity)
        self.raw(#"},"diversity":["#)
        if policy.maximumPerWindow > 0 {
            self.cap("category", Policy.DiversityCap(maximum: policy.maximumPerWindow, window: policy.window))
        }
        if let cap = policy.creatorCap {
            if policy.maximumPerWindow > 0 { self.raw(",") }
            self.cap("creator", cap)
        }
        self.raw("]")
    }

    private mutating func cap(_ field: String, _ cap: Policy.DiversityCap) {
        self.raw(#"{"field":"#)
        self.string(field)
        self.raw(#","max_per_window":"#)
        self.integer(cap.maximum)
        self.raw(#","window":"#)
        self.integer(cap.window)
        self.raw("}")
    }

    private mutating func choosing(_ policy: Policy) {
        self.raw(#""seen_filter":"#)
        self.bool(policy.seenFilter)
        self.raw(#","event_weights":{"#)
        for (index, type) in EventType.allCases.enumerated() {
            if index > 0 { self.raw(",") }
            self.string(type.rawValue)
            self.raw(":")
            self.number(policy.eventWeights[type] ?? 0)
        }
        self.raw("}")
    }

    private mutating func lasting(_ policy: Policy) {
        self.raw(#""half_life_days":"#)
        self.number(policy.halfLifeDays)
        self.raw(#","ttl":{"soft_s":"#)
        self.integer(policy.softTTL.components.seconds)
        self.raw(#","active_s":"#)
        if let active = policy.activeTTL { self.integer(active.components.seconds) } else { self.null() }
        self.raw(#","hard_s":"#)
        self.integer(policy.hardTTL.components.seconds)
        self.raw(#","jitter_pct":"#)
        self.number(policy.jitterPercent)
        self.raw(#"},"pool_size":"#)
        self.integer(policy.poolSize)
        self.raw(#","fallback":"#)
        self.list(policy.fallback) { json, step in json.string(step.rawValue) }
        self.raw(#","static_items":"#)
        self.list(policy.staticItems) { json, item in json.string(item.string) }
    }

    private mutating func ruling(_ policy: Policy, isOverride: Bool) {
        self.raw(#""exploration":{"share":"#)
        self.number(policy.exploration.share)
        self.raw(#","max_age_days":"#)
        self.integer(policy.exploration.maximumAgeDays)
        self.raw("}")
        self.rules(policy, isOverride: isOverride)
    }
}

extension PolicyCodec {
    /// Policies are stored as the API shows them.
    package static let json = PolicyCodec(
        encode: { policy in String(buffer: JSONWriter.document(policy)) },
        decode: { stored throws(UnreadablePolicy) in
            do {
                let value = try JSONReader.read(
                    Array(stored.document.utf8),
                    maximumNumber: JSONReader.maximumStoredNumber
                )
                return try PolicyDocument.read(value, version: stored.version)
            } catch let error as JSONError {
                throw UnreadablePolicy(version: stored.version, reason: error.reason.rawValue)
            } catch let problem as Problem {
                throw UnreadablePolicy(version: stored.version, reason: problem.detail)
            } catch {
                throw UnreadablePolicy(version: stored.version, reason: "\(error)")
            }
        }
    )
}
