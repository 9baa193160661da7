import Caching
import Synchronization

/// The passes of this node as the relay. Where it is not known what became of one, or the connection is another, the next is of
/// another relay: of two counts of one relay, the later pass began after the earlier one was written.
final class PassCounter: Sendable {
    private let last = Mutex<(connection: UInt64, pass: RelayPass)?>(nil)

    /// The pass that is about to be written.
    func next(on connection: UInt64) -> RelayPass {
        let last = self.last.withLock { $0.take() }
        if let last, last.connection == connection {
            return RelayPass(relay: last.pass.relay, count: last.pass.count + 1)
        }
        return RelayPass(relay: String(UInt64.random(in: .min ... .max), radix: 36), count: 1)
    }

    /// It is written.
    func ended(_ pass: RelayPass, on connection: UInt64) {
        self.last.withLock { $0 = (connection, pass) }
    }
}
