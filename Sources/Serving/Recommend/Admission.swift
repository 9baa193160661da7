import Caching
import RecommendationCore
import RecommendationEngine

/// What is kept out of an answer for one user.
struct UserExclusions {
    static let none = UserExclusions(seen: [], suppressed: Bitmap())

    let seen: Set<Item.Number>
    let suppressed: Bitmap

    var isNone: Bool { self.seen.isEmpty && self.suppressed.words.isEmpty }
}

/// The rules an item has to pass to be in an answer, whatever list it comes from.
struct Admission {
    private let state: TenantState
    private let now: Timestamp
    private let exclusions: UserExclusions
    private let filter: SlateFilter
    /// What the policy's rules are asked with.
    let context: RuleContext
    /// Whether there is a rule beyond those of the tenant.
    private let isPersonal: Bool
    private let faults: SeededFaults

    init(
        _ state: TenantState,
        at now: Timestamp,
        _ exclusions: UserExclusions,
        _ filter: SlateFilter,
        labels: [UserLabel] = [],
        faults: SeededFaults = SeededFaults()
    ) {
        self.faults = faults
        self.state = state
        self.now = now
        self.exclusions = exclusions
        self.filter = filter
        self.context = RuleContext(region: filter.region, locale: filter.locale, labels: labels)
        self.isPersonal =
            !(exclusions.isNone && filter.isNone && filter.gate.isOpen) || state.rules.isEligibilityAsked
    }

    /// Whether an item may be in the answer, counted under the rule that says no.
    ///
    /// Nearly every item is looked up in nothing but `suspects`.
    ///
    /// - Parameter suspects: ``TenantState/suspects``, lent by the caller for as long as it asks.
    @inline(__always)
    func admits(
        _ item: Item.Number,
        suspects: UnsafeBufferPointer<UInt64>,
        _ filtered: inout FilteredCounts
    ) -> Bool {
        let word = Int(item >> 6)
        let isSuspect = word >= suspects.count || suspects[word] >> UInt64(item & 63) & 1 == 1
        if isSuspect, !self.isServable(item, &filtered) { return false }
        return !self.isPersonal || self.isWanted(item, &filtered)
    }

    /// Whether all unseen candidates of a pool may be in the answer, by a look at `suspects` alone.
    @inline(__always)
    func admitsAll(of pool: PoolView, suspects: UnsafeBufferPointer<UInt64>) -> Bool {
        guard !self.isPersonal else { return false }
        var found: UInt64 = 0
        for candidate in 0..<pool.unseenCount {
            let item = pool.item(candidate)
            let word = Int(item >> 6)
            guard word < suspects.count else { return false }
            found |= suspects[word] >> UInt64(item & 63)
        }
        return found & 1 == 0
    }

    /// By the rules of the tenant: what was denied, hidden or sold out, now.
    private func isServable(_ item: Item.Number, _ filtered: inout FilteredCounts) -> Bool {
        if self.state.blocked[Int(item)], !self.faults.has(.unfilteredFallback) {
            filtered.tombstone += 1
        } else if !self.state.catalog.isAvailable(item, at: self.now) {
            filtered.unavailable += 1
        } else if self.state.isIneligible(item) {
            filtered.policy += 1
        } else {
            return true
        }
        return false
    }

    /// By what is known of the user and what the request asks for.
    private func isWanted(_ item: Item.Number, _ filtered: inout FilteredCounts) -> Bool {
        if self.exclusions.suppressed[Int(item)] {
            filtered.suppressed += 1
        } else if self.exclusions.seen.contains(item) {
            filtered.seen += 1
        } else if !self.filter.isNone, let record = self.state.catalog[item], !self.filter.admits(item, record) {
            filtered.policy += 1
        } else if !self.state.rules.isEligible(item, self.state.catalog, in: self.context) {
            filtered.policy += 1
        } else if self.isCapped(item) {
            filtered.frequencyCap += 1
        } else {
            return true
        }
        return false
    }

    /// By what the user was shown already.
    private func isCapped(_ item: Item.Number) -> Bool {
        switch self.filter.gate {
        case .none, .open: false
        case .shut(let items): items.contains(item)
        case .reserved(let items, let caps):
            !items.contains(item) && caps.bits(of: item, self.state.catalog, in: self.context) != 0
        }
    }

    /// The rule that keeps an item out; nil: none does.
    func removal(of item: Item.Number) -> ItemExplanation.Removal? {
        var filtered = FilteredCounts()
        let isAdmitted = self.state.suspects.withUnsafeBufferPointer {
            self.admits(item, suspects: $0, &filtered)
        }
        if isAdmitted { return nil }
        if filtered.tombstone > 0 { return .tombstone }
        if filtered.unavailable > 0 { return .unavailable }
        if filtered.suppressed > 0 { return .suppressed }
        if filtered.seen > 0 { return .seen }
        return filtered.frequencyCap > 0 ? .frequencyCap : .policy
    }

    /// What the score of an item is multiplied by.
    func factor(_ item: Item.Number) -> Float {
        self.state.rules.factor(item, self.state.catalog, in: self.context)
    }

    /// The items that have a place among so many, of those that may be in the answer, and which place.
    ///
    /// - Parameter facts: What is known of the user besides the exclusions.
    func pins(
        within limit: Int,
        _ facts: CandidatePool.RuleFacts? = nil,
        excludesSeen: Bool = true
    ) -> [(item: Item.Number, place: Int)] {
        var pins = self.state.rules.pins(within: limit, self.state.catalog, in: self.context)
        guard !pins.isEmpty else { return [] }
        var passedOver = FilteredCounts()
        self.state.suspects.withUnsafeBufferPointer { suspects in
            pins.removeAll { !self.admits($0.item, suspects: suspects, &passedOver) }
        }
        if let facts {
            pins.removeAll { pin in
                facts.unwantedPins.contains(pin.item) || excludesSeen && facts.hadPins.contains(pin.item)
            }
        }
        return pins
    }

    /// Whether a history item may explain a place: one that is denied now, or suppressed, is not named.
    func mayBeNamed(_ seed: Item.Number) -> Bool {
        !self.state.blocked[Int(seed)] && !self.exclusions.suppressed[Int(seed)] && self.state.catalog.holds(seed)
    }

    /// An item as a choice under several caps takes it.
    func candidate(_ item: Item.Number, score: Float, of choice: DiverseChoice) -> DiverseChoice.Candidate {
        DiverseChoice.Candidate(
            category: self.category(of: item),
            creator: self.state.catalog.creator(of: item),
            score: score,
            features: choice.lambda == nil ? [] : self.state.catalog.features(of: item)
        )
    }

    /// The category that diversity counts an item under; one that was asked for is under no cap.
    func category(of item: Item.Number) -> UInt32 {
        if !self.filter.isNone, let record = self.state.catalog[item], !self.filter.counts(record) {
            return Diversity.noCategory
        }
        return self.state.catalog.category(of: item)
    }
}
