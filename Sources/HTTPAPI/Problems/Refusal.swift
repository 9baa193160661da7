import HTTPTypes

/// What a connection is refused for before there is a request that a route could answer.
enum Refusal: Sendable, Equatable {
    /// The headers, or the body, came too slowly.
    case timeout
    case headersTooLarge
    case notHTTP

    var problem: Problem {
        switch self {
        case .timeout:
            Problem(status: .requestTimeout, code: "request_timeout", detail: "the request did not arrive in time")
        case .headersTooLarge:
            Problem(
                status: .requestHeaderFieldsTooLarge,
                code: "headers_too_large",
                detail: "the request's line and headers are too large"
            )
        case .notHTTP:
            .malformed("malformed_http", "this is not HTTP/1.1")
        }
    }
}
