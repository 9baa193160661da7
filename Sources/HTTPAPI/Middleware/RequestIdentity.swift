import HTTPTypes
import RecommendationCore
import Serving

/// The id by which a request is found again: the caller's, or a new one.
struct RequestIdentity: Sendable {
    let wallClock: @Sendable () -> Timestamp

    func id(of headers: HTTPFields) -> String {
        guard let given = headers[.requestID], (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return self.make() }
        return given
    }

    func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return RecommendationID(milliseconds: self.wallClock().milliseconds, using: &generator).string
    }
}
