import HTTPTypes
import NIOCore
import RecommendationCore

/// An error answer, RFC 9457.
struct Problem: Error, Sendable, Equatable {
    var status: HTTPResponse.Status
    /// What a program reads; also the last part of `type`.
    var code: String
    var detail: String
    var errors: [FieldError] = []
    var headers: HTTPFields = [:]
    /// Members of the document beyond the common ones.
    var lists: [List] = []
    /// What an activation was refused for, in figures.
    var shortfall: ModelShortfall?
    /// Whether the call was refused for what else is asked for, and not for itself: there may be very many.
    var isShed = false
    /// What went wrong inside: for the log, never for the caller.
    var cause: String?

    struct List: Sendable, Equatable {
        let name: StaticName
        let values: [String]
    }

    enum StaticName: String, Sendable {
        case waitingFor = "waiting_for"
        case degraded
    }

    /// The same for all problems of a status, RFC 9457 section 3.1.3.
    var title: String {
        switch self.status {
        case .badRequest: "Malformed request"
        case .unauthorized: "Authentication required"
        case .forbidden: "Not allowed"
        case .notFound: "Not found"
        case .methodNotAllowed: "Method not allowed"
        case .requestTimeout: "Request timed out"
        case .conflict: "Conflict"
        case .gone: "Gone"
        case .preconditionFailed: "Precondition failed"
        case .contentTooLarge: "Request too large"
        case .unsupportedMediaType: "Unsupported media type"
        case .unprocessableContent: "Invalid request"
        case .requestHeaderFieldsTooLarge: "Request headers too large"
        case .tooManyRequests: "Too many requests"
        case .serviceUnavailable: "Try again later"
        case .gatewayTimeout: "Deadline exceeded"
        default: "Internal error"
        }
    }

    /// - Parameters:
    ///   - instance: The path as it was sent; nil where there is none worth repeating.
    ///   - requestID: Nil in a part of an answer: the answer has it.
    func document(instance: String?, requestID: String?) -> ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.raw(#"{"type":"#)
        json.string("urn:vireo:problem:" + self.code)
        json.raw(#","title":"#)
        json.string(self.title)
        json.raw(#","status":"#)
        json.integer(self.status.code)
        json.raw(#","detail":"#)
        json.string(self.detail)
        if let instance {
            json.raw(#","instance":"#)
            json.string(instance)
        }
        json.raw(#","code":"#)
        json.string(self.code)
        if let requestID {
            json.raw(#","request_id":"#)
            json.string(requestID)
        }
        for list in self.lists {
            json.raw(",")
            json.string(list.name.rawValue)
            json.raw(":")
            json.list(list.values) { json, value in json.string(value) }
        }
        if let shortfall {
            json.raw(#","metric":"#)
            json.string(shortfall.metric)
            json.raw(#","value":"#)
            json.double(shortfall.value)
            json.raw(#","active":"#)
            json.string(ModelVersion.name(shortfall.active))
            json.raw(#","active_value":"#)
            json.double(shortfall.activeValue)
            json.raw(#","allowance":"#)
            json.double(shortfall.allowance)
            json.raw(#","lowest":"#)
            json.double(shortfall.lowest)
        }
        if !self.errors.isEmpty {
            json.raw(#","errors":"#)
            json.list(self.errors) { json, error in
                json.raw(#"{"pointer":"#)
                json.string(error.pointer)
                json.raw(#","code":"#)
                json.string(error.code)
                if let allowed = error.allowed {
                    json.raw(#","allowed":"#)
                    json.string(allowed)
                }
                json.raw("}")
            }
        }
        json.raw("}")
        return json.buffer
    }
}
