/// The control state of a node: whoever implements it reads the control log after its last id, to the head, and applies it.
public protocol ControlFeed: Sendable {
    /// Reads and applies everything committed before the call. Throws where that cannot be done; nothing is applied by half.
    func catchUp() async throws
    /// The last control log id that is applied; 0 before the first read.
    var appliedControl: Int64 { get }
}

/// How current the control state is for one request.
public enum ControlStanding: Sendable, Equatable {
    /// The freshness lease is live.
    case leased
    /// There is no lease; the control log was read after the request arrived.
    case checked
    /// Neither: the policy decides.
    case unverified
}
