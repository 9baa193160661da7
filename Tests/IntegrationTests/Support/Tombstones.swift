import HTTPAPI
import RecommendationCore
import Serving

/// The tombstones `i0`, `i1`, … of a range.
func stones(_ range: Range<Int>, _ kind: Tombstone.Kind = .item) -> [Tombstone] {
    range.map { Tombstone(kind: kind, key: id("i\($0)")) }
}

extension Database {
    /// A node that follows the control log, when it is told to, in 2027.
    func node() -> ControlState {
        ControlState(
            repository: self.control,
            models: self.snapshots,
            policies: .json,
            log: .silent,
            wallClock: { Timestamp(seconds: 1_800_000_000) },
            incarnationChanged: { _ in }
        )
    }
}

extension ControlState {
    /// Which of the items `i0`, `i1`, … of a range a node denies.
    func denied(_ range: Range<Int>) -> [Int] {
        let denials = self.state(of: .default)?.denials
        return range.filter { denials?.contains(.item, "i\($0)") ?? false }
    }
}
