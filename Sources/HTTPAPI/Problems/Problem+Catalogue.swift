import HTTPTypes
import RecommendationCore

extension Problem {
    /// 400: what was sent cannot be read.
    static func malformed(_ code: String, _ detail: String, errors: [FieldError] = []) -> Problem {
        Problem(status: .badRequest, code: code, detail: detail, errors: errors)
    }

    /// 400: the connection ended before the body did.
    static var incompleteBody: Problem { .malformed("incomplete_body", "the body ended too early") }

    /// 400: names nobody knows, in the query or in the body.
    static func unknownParameters(_ names: [String], allowed: [String], at base: Pointer = .root) -> Problem {
        let list = allowed.isEmpty ? "none" : allowed.joined(separator: "|")
        return .malformed(
            "unknown_parameter",
            allowed.isEmpty ? "this takes no parameters" : "known here: \(list)",
            errors: names.prefix(FieldErrors.maximum).map { name in
                var pointer = base
                pointer.append(name)
                return FieldError(pointer: pointer.string, code: "unknown_parameter", allowed: list)
            }
        )
    }

    /// 401.
    static var unauthenticated: Problem {
        Problem(
            status: .unauthorized,
            code: "unauthenticated",
            detail: "send a valid key as Authorization: Bearer KEY",
            headers: [.wwwAuthenticate: "Bearer"]
        )
    }

    /// 403.
    static func missingScope(_ scope: Scope) -> Problem {
        Problem(status: .forbidden, code: "missing_scope", detail: "the key lacks the scope \(scope.rawValue)")
    }

    /// 403: what only a key of the fleet may do.
    static func fleetOnly(_ what: String) -> Problem {
        Problem(status: .forbidden, code: "fleet_only", detail: "\(what) takes an admin key of the tenant _fleet")
    }

    /// 404.
    static var notFound: Problem {
        Problem(status: .notFound, code: "not_found", detail: "there is nothing here")
    }

    /// 405.
    static func methodNotAllowed(_ allowed: String) -> Problem {
        Problem(
            status: .methodNotAllowed,
            code: "method_not_allowed",
            detail: "allowed here: \(allowed)",
            headers: [.allow: allowed]
        )
    }

    /// 413. What is still to come is not read: the connection ends with the answer.
    static func bodyTooLarge(_ maximum: Int) -> Problem {
        Problem(
            status: .contentTooLarge,
            code: "body_too_large",
            detail: "a body has at most \(maximum) bytes",
            headers: [.connection: "close"]
        )
    }

    /// 412: the resource is not in the state that the request's conditions name.
    static func preconditionFailed(_ detail: String) -> Problem {
        Problem(status: .preconditionFailed, code: "precondition_failed", detail: detail)
    }

    /// 415.
    static func unsupportedMediaType(_ allowed: [MediaType]) -> Problem {
        let types = allowed.map(\.rawValue)
        return Problem(
            status: .unsupportedMediaType,
            code: "unsupported_media_type",
            detail: "the body must be \(types.joined(separator: " or ")) without a content encoding",
            headers: [.accept: types.joined(separator: ", ")]
        )
    }

    /// 422: fields that can be read and do not hold what they may.
    static func invalid(_ errors: [FieldError]) -> Problem {
        Problem(
            status: .unprocessableContent,
            code: "invalid_parameter",
            detail: errors.map(\.sentence).joined(separator: "; "),
            errors: errors
        )
    }

    /// 422: not where a page begins.
    static var invalidCursor: Problem {
        .invalid([FieldError(pointer: "#/cursor", code: "invalid", allowed: "the next_cursor of an answer")])
    }

    /// 429: the key was used as often as it may be; nothing was done for this call.
    ///
    /// - Parameter time: After which there is room for one.
    static func rateLimited(_ limit: RateLimit, after time: Duration) -> Problem {
        let seconds = max(1, time.components.seconds + (time.components.attoseconds > 0 ? 1 : 0))
        return Problem(
            status: .tooManyRequests,
            code: "rate_limited",
            detail: "the key may be used \(limit.rate) times a second, and \(limit.burst) times at once",
            headers: [.retryAfter: String(seconds)],
            isShed: true
        )
    }

    /// 503.
    static func unavailable(_ code: String, _ detail: String) -> Problem {
        Problem(status: .serviceUnavailable, code: code, detail: detail, headers: [.retryAfter: "1"])
    }

    /// 503: as many calls of its class are in progress as may be; nothing was done for this one.
    static func overloaded(_ kind: RouteClass) -> Problem {
        var problem = Problem.unavailable(
            "overloaded",
            "as many calls of the class \(kind.rawValue) are in progress on this node as may be; nothing was done"
        )
        problem.isShed = true
        return problem
    }

    /// 504.
    static var deadlineExceeded: Problem {
        Problem(
            status: .gatewayTimeout,
            code: "deadline_exceeded",
            detail: "there was no answer in time; what it was to change, if anything, may still be changed"
        )
    }

    /// 500.
    static func internalError(_ cause: String) -> Problem {
        Problem(
            status: .internalServerError,
            code: "internal_error",
            detail: "the request failed here; the log has it under its request id",
            cause: cause
        )
    }
}
