import HTTPTypes
import RecommendationCore
import Serving

/// The id by which a request is found again: the caller's, or a new one.
struct RequestIdentity: Sendable {
    let wallClock: @Sendable () -> Timestamp

    func id(of headers: HTTPFields) -> String {
        guard let given = headers[.requestID], Self.mayBeEchoed(given.utf8) else { return self.make() }
        return given
    }

    /// Whether a caller's id may stand in a header and in the log: 1 to 128 visible characters of ASCII.
    static func mayBeEchoed(_ id: some Collection<UInt8>) -> Bool {
        (1...128).contains(id.count) && id.allSatisfy { (0x21...0x7E).contains($0) }
    }

    func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return RecommendationID(
            milliseconds: self.wallClock().milliseconds,
            random: (generator.next(), generator.next())
        ).string
    }
}
