import Synchronization

/// Which version of tokens is signed: one that every node of the fleet reads.
package final class TokenForm: Sendable {
    private let first = Atomic<Bool>(false)

    package init() {}

    /// Whether a node serves that reads version 1 alone.
    package var isFirst: Bool {
        get { self.first.load(ordering: .relaxed) }
        set { self.first.store(newValue, ordering: .relaxed) }
    }
}
