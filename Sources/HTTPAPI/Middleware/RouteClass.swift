import RecommendationCore

/// Routes that share a bound on the calls in progress, so that what is slow in one class takes no place of another.
enum RouteClass: String, CaseIterable, Sendable {
    /// Lists and what explains them.
    case read
    /// Feedback, items, users.
    case write
    /// Much at once, on either port: batches, trials of policies, erasures, precomputations, reports over all that was shown.
    case bulk
    /// Changes of the control state, and what is asked of it.
    case admin
    /// What tells of the node itself; never refused.
    case operations
}

extension Route {
    /// The class of the route: by what its key must allow, unless it does much at once. A route without a key is the node's
    /// own, but for what takes a body.
    var callClass: RouteClass {
        if self.isBulk { return .bulk }
        return switch self.scope {
        case .read: .read
        case .write: .write
        case .admin: .admin
        case nil: self.bodyTypes.isEmpty ? .operations : .admin
        }
    }
}
