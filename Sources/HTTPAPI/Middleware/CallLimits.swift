import Metrics
import Synchronization

/// Bounds how many calls of each class are in progress on this node; on both ports together.
///
/// A call has its place from before its key is looked at until its work has ended, which may be after its answer: work that
/// was late and does not end goes on taking a place, and only of its own class.
package final class CallLimits: Sendable {
    /// How many calls of a class may be in progress at once.
    package struct Bounds: Sendable {
        /// `VIREO_READ_LIMIT`
        package var read = 1_024
        /// `VIREO_WRITE_LIMIT`
        package var write = 512
        /// `VIREO_BULK_LIMIT`
        package var bulk = 32
        /// `VIREO_ADMIN_LIMIT`
        package var admin = 64

        package init() {}
    }

    private let read: Places
    private let write: Places
    private let bulk: Places
    private let admin: Places
    private let operations: Places

    package init(_ bounds: Bounds) {
        self.read = Places(.read, bounds.read)
        self.write = Places(.write, bounds.write)
        self.bulk = Places(.bulk, bounds.bulk)
        self.admin = Places(.admin, bounds.admin)
        self.operations = Places(.operations, nil)
    }

    /// Takes a place; false where all are taken, which is counted.
    func enter(_ kind: RouteClass) -> Bool { self.places(kind).enter() }

    /// Gives a place back.
    func leave(_ kind: RouteClass) { self.places(kind).leave() }

    private func places(_ kind: RouteClass) -> Places {
        switch kind {
        case .read: self.read
        case .write: self.write
        case .bulk: self.bulk
        case .admin: self.admin
        case .operations: self.operations
        }
    }

    /// The places of one class.
    private final class Places: Sendable {
        private let limit: Int
        private let taken = Atomic<Int>(0)
        private let inProgress: Meter
        private let refused: Counter

        /// - Parameter limit: nil: there is none.
        init(_ kind: RouteClass, _ limit: Int?) {
            self.limit = limit.map { max(1, $0) } ?? .max
            self.inProgress = Meter(label: "vireo_http_calls_in_progress", dimensions: [("class", kind.rawValue)])
            self.refused = Counter(label: "vireo_http_calls_refused_total", dimensions: [("class", kind.rawValue)])
        }

        func enter() -> Bool {
            guard self.taken.wrappingAdd(1, ordering: .relaxed).newValue <= self.limit else {
                self.taken.wrappingSubtract(1, ordering: .relaxed)
                self.refused.increment()
                return false
            }
            self.inProgress.increment()
            return true
        }

        func leave() {
            self.taken.wrappingSubtract(1, ordering: .relaxed)
            self.inProgress.decrement()
        }
    }
}
