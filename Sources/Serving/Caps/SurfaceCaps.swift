import RecommendationCore

/// The frequency caps of a policy that hold on one surface, over one catalogue.
struct SurfaceCaps: Sendable {
    let caps: [(cap: Policy.FrequencyCap, rule: MatchedRule?)]

    /// Which caps hold for an item, a bit each; 0: it is under none.
    func bits(of item: Item.Number, _ catalog: Catalog, in context: RuleContext) -> UInt8 {
        var bits: UInt8 = 0
        for (index, (_, rule)) in self.caps.enumerated() where rule?.holds(item, catalog, in: context) ?? true {
            bits |= 1 << UInt8(index)
        }
        return bits
    }

    /// As the counters take them.
    var counted: [CapReservation.Cap] {
        self.caps.map { cap, _ in
            CapReservation.Cap(maximum: cap.maximum, window: cap.window, isOfSurface: cap.surface != nil)
        }
    }
}

/// What the final stage lets through of items under caps.
enum CapGate: Sendable {
    /// There are no caps.
    case none
    /// Everything, until it is known what is reserved.
    case open
    /// All but these.
    case shut(Set<Item.Number>)
    /// These alone of what is under a cap.
    case reserved(Set<Item.Number>, SurfaceCaps)

    /// Whether everything passes.
    var isOpen: Bool {
        switch self {
        case .none, .open: true
        case .shut, .reserved: false
        }
    }

    /// Whether nobody has to know what else there is.
    var isNone: Bool { if case .none = self { true } else { false } }
}

extension PolicyRules {
    /// The caps that hold on a surface; nil: there are none.
    func caps(on surface: String) -> SurfaceCaps? {
        guard !self.frequencyCaps.isEmpty else { return nil }
        let own = self.frequencyCaps.filter { $0.cap.surface?.utf8.elementsEqual(surface.utf8) ?? true }
        return own.isEmpty ? nil : SurfaceCaps(caps: own)
    }
}

extension TenantState {
    /// Whether a list for a user on a surface falls under caps.
    func isCapped(on surface: String) -> Bool { self.rules.caps(on: surface) != nil }
}

extension Policy {
    /// The longest window of its caps; nil: it has none.
    var longestCapWindow: Duration? { self.frequencyCaps.map(\.window).max() }
}
