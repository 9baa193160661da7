package import Histogram

/// Microseconds, up to an hour, to three digits.
package typealias Durations = Histogram<UInt64>

extension Durations {
    /// None yet.
    package static var empty: Durations { Durations(highestTrackableValue: 3_600_000_000) }
}
