import FoundationEssentials
package import RecommendationCore

/// The time of day. Nothing that decides coherence reads it.
package enum WallClock {
    @Sendable
    package static func now() -> Timestamp {
        Timestamp(microseconds: Int64((Date().timeIntervalSince1970 * 1e6).rounded(.down)))
    }
}
