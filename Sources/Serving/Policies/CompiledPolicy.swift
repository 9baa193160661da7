import Crypto
import RecommendationCore
import RecommendationEngine

/// A policy made ready to serve by, once for its version: what each of its surfaces goes by.
final class CompiledPolicy: Sendable {
    static let builtIn = CompiledPolicy(.builtIn)

    let policy: Policy
    let eligibility: ItemRule?
    let boosts: [(factor: Float, rule: ItemRule)]
    let pins: [(pin: Policy.Pin, rule: ItemRule?)]
    let frequencyCaps: [(cap: Policy.FrequencyCap, rule: ItemRule?)]
    /// The user's labels that some rule asks for.
    let userLabels: Set<ItemExpression.Text>
    /// Tells pools apart: the same for all policies that make the same pools, whatever they do with them in the final stage.
    let poolDigest: String
    /// What chooses a slate, where one cap of categories alone does not; nil: that does.
    let choice: DiverseChoice?
    /// Of 2^32 recommendations, so many are recorded.
    let recorded: UInt64
    /// The surfaces with a policy of their own.
    let overrides: [(surface: String, policy: CompiledPolicy)]

    init(_ policy: Policy) {
        self.policy = policy
        self.eligibility = policy.eligibility.map(ItemRule.init)
        self.boosts = policy.boosts.map { ($0.factor, ItemRule($0.when)) }
        self.pins = policy.pins.map { ($0, $0.when.map(ItemRule.init)) }
        self.frequencyCaps = policy.frequencyCaps.map { ($0, $0.when.map(ItemRule.init)) }
        let labels = policy.ruleLabels
        self.userLabels = Set(labels)
        self.poolDigest = PoolDigest.text(policy, labels)
        self.choice = policy.choice
        self.recorded = UInt64(policy.recordedPercent / 100 * 4_294_967_296)
        self.overrides = policy.surfaceOverrides.map { ($0.surface, CompiledPolicy($0.policy)) }
    }

    /// What some rule asks of a user's labels.
    func asked(of labels: [UserLabel]) -> [UserLabel] {
        self.userLabels.isEmpty ? [] : labels.filter { self.userLabels.contains($0.name) }
    }
}

extension Policy {
    fileprivate var choice: DiverseChoice? {
        guard self.creatorCap != nil || self.marginalRelevance != nil else { return nil }
        return DiverseChoice(
            category: DiversityCap(maximum: self.maximumPerWindow, window: self.window),
            creator: self.creatorCap,
            lambda: self.marginalRelevance.map(Float.init)
        )
    }

    /// The user's labels that its rules ask for, each once, in order.
    fileprivate var ruleLabels: [ItemExpression.Text] {
        let rules =
            [self.eligibility].compactMap(\.self) + self.boosts.map(\.when) + self.pins.compactMap(\.when)
            + self.frequencyCaps.compactMap(\.when)
        return Set(rules.flatMap(\.userLabels)).sorted()
    }
}

/// A digest of what of a policy is in pools.
private struct PoolDigest {
    private var hash = SHA256()

    static func text(_ policy: Policy, _ labels: [ItemExpression.Text]) -> String {
        var digest = PoolDigest()
        let weights = policy.weights
        digest.add([weights.collaborative, weights.content, weights.popularity].map { "\($0)" })
        digest.add(EventType.allCases.map { "\(policy.eventWeights[$0] ?? 0)" })
        digest.add(EventType.allCases.filter(policy.invalidatingEvents.contains).map(\.rawValue))
        let ttl = [policy.softTTL, policy.activeTTL ?? .zero, policy.hardTTL]
        digest.add(ttl.map { "\($0.components.seconds)" } + ["\(policy.jitterPercent)"])
        let exploration = policy.exploration
        digest.add([
            "\(policy.halfLifeDays)", "\(policy.poolSize)", "\(policy.seenFilter)", "\(exploration.share)",
            "\(exploration.maximumAgeDays)",
        ])
        digest.add(policy.pins.map(\.item.string))
        digest.add(labels.map(\.string))
        digest.add(policy.eligibility.map { ["\($0.canonical)"] } ?? [])
        return Base64URL.encode(Array(digest.hash.finalize().prefix(12)))
    }

    /// Adds texts so that no others give the same bytes.
    private mutating func add(_ texts: [String]) {
        self.add(texts.count)
        for text in texts {
            self.add(text.utf8.count)
            self.hash.update(data: Array(text.utf8))
        }
    }

    private mutating func add(_ count: Int) {
        withUnsafeBytes(of: UInt32(count).littleEndian) { self.hash.update(bufferPointer: $0) }
    }
}

extension ItemExpression {
    /// A text that is the same for the same expression, and for no other.
    fileprivate var canonical: String {
        func list(_ name: String, _ texts: [String]) -> String {
            "\(name)(\(texts.map { "\($0.utf8.count):\($0)" }.joined()))"
        }
        func values(_ texts: [Text]) -> [String] { texts.map(\.string) }
        return switch self {
        case .all(let parts): list("all", parts.map(\.canonical))
        case .any(let parts): list("any", parts.map(\.canonical))
        case .not(let part): list("not", [part.canonical])
        case .categories(let names): list("categories", values(names))
        case .creators(let names): list("creators", values(names))
        case .label(let name, let texts): list("label", values([name] + texts))
        case .regions(let names): list("regions", values(names))
        case .locales(let tags): list("locales", values(tags))
        case .price(let minimum, let maximum): list("price", [minimum, maximum].map { $0.map { "\($0)" } ?? "" })
        case .requestRegions(let names): list("request_regions", values(names))
        case .requestLocales(let tags): list("request_locales", values(tags))
        case .userLabel(let name, let texts): list("user_label", values([name] + texts))
        case .sameLabel(let item, let user): list("same_label", values([item, user]))
        }
    }
}
