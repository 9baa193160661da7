import HTTPTypes
import RecommendationCore
import Serving

extension Problem {
    /// What a use case's error is in HTTP: the one place that says so.
    init(_ error: ServingError) {
        switch error {
        case .notReady:
            self = .unavailable("not_ready", "there is no model and no list to fall back on yet")
        case .unknownSurface(let allowed):
            self = .invalid([
                FieldError(pointer: "#/surface", code: "unknown_surface", allowed: allowed.joined(separator: "|"))
            ])
        case .unverified:
            self = .unavailable("unverified", "the control state cannot be verified, and the policy refuses to serve")
        case .unknownItem:
            self = .notFound
        case .versionUnknown:
            self = Problem(
                status: .preconditionFailed,
                code: "version_unknown",
                detail: "the user's version is below the one that is asked for"
            )
        case .cursorGone(let end):
            self = Problem(
                status: .gone,
                code: "cursor_\(end.rawValue)",
                detail: "\(end.detail); begin again with cursor=*"
            )
        case .storeUnavailable:
            self = .unavailable("unavailable", "the store cannot be read, and nothing else will do")
        case .deadline:
            self = .deadlineExceeded
        case .nothingToServe:
            self = .unavailable("unavailable", "there is no list that may be served at the moment")
        case .notDurable:
            self = .unavailable("not_durable", "nothing is known to be stored; send it again")
        case .changed:
            self = .preconditionFailed("what is in force is not as the request names it")
        case .conflict(let reason):
            self = Problem(status: .conflict, code: "conflict", detail: reason)
        case .modelRefused(let shortfall):
            self = Problem(
                status: .conflict,
                code: "model_guard",
                detail: "\(shortfall); with force it is activated all the same",
                errors: [
                    FieldError(
                        pointer: Pointer("metrics", shortfall.metric).string,
                        code: "too_low",
                        allowed: "\(shortfall.lowest) or more, or force"
                    )
                ],
                shortfall: shortfall
            )
        case .failed(let cause):
            self = .internalError(cause)
        }
    }
}

extension CursorEnd {
    fileprivate var detail: String {
        switch self {
        case .expired: "the list was begun more than ten minutes ago"
        case .foreign: "the cursor was not made for this user, or not of these data"
        case .user: "consent, a suppression, a reset, an erasure or a purge of the user came after the cursor"
        case .purged: "a purge came after the cursor"
        case .withdrawn: "a rollback, a retirement or the end of the surface came after the cursor"
        }
    }
}
