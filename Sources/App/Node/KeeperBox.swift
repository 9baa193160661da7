import Caching
import Synchronization

/// Holds the keeper for callbacks that are made before it.
final class KeeperBox: Sendable {
    private let box = Mutex<CoherenceKeeper?>(nil)
    var keeper: CoherenceKeeper? { self.box.withLock { $0 } }
    func fill(_ keeper: CoherenceKeeper) { self.box.withLock { $0 = keeper } }
}
