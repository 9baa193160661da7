import Synchronization

/// One connection to the primary, from the attempt to its end, or to the end of the server's term.
public final class PrimaryHold: Sendable {
    typealias Closing = @Sendable (RedisConnectionLoss) -> Void

    /// Where the primary listens.
    let address: RedisAddress
    private let state = Mutex<(reason: RedisConnectionLoss?, close: Closing?)>((nil, nil))

    init(address: RedisAddress) {
        self.address = address
    }

    /// Why the term ended; nil: it did not.
    var reason: RedisConnectionLoss? { state.withLock { $0.reason } }

    /// What closes the connection, in place of what was given before; called at once if the term is over.
    func closes(with close: @escaping Closing) {
        let reason = state.withLock { state in
            state.close = close
            return state.reason
        }
        if let reason { close(reason) }
    }

    /// The term is over.
    func end(_ reason: RedisConnectionLoss) {
        let close = state.withLock { state -> Closing? in
            guard state.reason == nil else { return nil }
            state.reason = reason
            return state.close
        }
        close?(reason)
    }
}
