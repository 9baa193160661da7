import RecommendationCore

/// What this node serves by: the active policy, or the last good one where the active one cannot be read here.
struct PolicyInForce: Sendable {
    static let builtIn = PolicyInForce(compiled: .builtIn, unreadable: nil, behindSince: nil)

    let compiled: CompiledPolicy
    var policy: Policy { self.compiled.policy }
    /// Why it is not the active one; nil: it is.
    let unreadable: UnreadablePolicy?
    /// Since when this node has served by another policy than the active one.
    let behindSince: ContinuousClock.Instant?

    /// - Parameter old: What the node served by until now.
    init(
        _ control: TenantControl,
        after old: TenantState?,
        codec: PolicyCodec,
        now: ContinuousClock.Instant
    ) {
        if let old, old.control.activePolicy == control.activePolicy {
            self = old.inForce
            return
        }
        guard let active = control.activePolicy else {
            self = .builtIn
            return
        }
        do {
            self.init(policy: try codec.decode(active), unreadable: nil, behindSince: nil)
        } catch {
            self.init(
                compiled: old?.inForce.compiled ?? CompiledPolicy(Self.fallback(control, codec)),
                unreadable: error,
                behindSince: old?.inForce.behindSince ?? now
            )
        }
    }

    init(policy: Policy, unreadable: UnreadablePolicy?, behindSince: ContinuousClock.Instant?) {
        self.init(compiled: CompiledPolicy(policy), unreadable: unreadable, behindSince: behindSince)
    }

    init(compiled: CompiledPolicy, unreadable: UnreadablePolicy?, behindSince: ContinuousClock.Instant?) {
        self.compiled = compiled
        self.unreadable = unreadable
        self.behindSince = behindSince
    }

    /// Of a node that starts while it cannot read the active policy: the one a rollback would return to.
    private static func fallback(_ control: TenantControl, _ codec: PolicyCodec) -> Policy {
        guard let previous = control.previousPolicy else { return .builtIn }
        do {
            return try codec.decode(previous)
        } catch {
            return .builtIn
        }
    }
}
