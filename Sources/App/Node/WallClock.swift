import Glibc
package import RecommendationCore

/// The time of day. Nothing that decides coherence reads it.
package enum WallClock {
    @Sendable
    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
