package import RecommendationCore
package import Serving

/// Why a message on the feedback channel is not an event.
package struct FeedbackMessageError: Error, Sendable, Equatable {
    package let code: String
    /// Without a leading `#/`; empty for the message as a whole.
    package let field: String
}

/// The same object as over HTTP, arriving over Redis: there an event id is required, because nothing else tells the nodes
/// that hear it that it is one event.
package enum FeedbackMessage {
    package static let maximumBytes = 65_536

    package static func decode(_ bytes: [UInt8]) throws(FeedbackMessageError) -> FeedbackRequest {
        guard bytes.count <= Self.maximumBytes else { throw FeedbackMessageError(code: "too_large", field: "") }
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONReader.read(bytes)
        } catch {
            throw FeedbackMessageError(code: "malformed_json", field: "")
        }
        let request: FeedbackRequest
        do throws(Problem) {
            request = try FeedbackPayload.request(document)
        } catch {
            let first = error.errors.first
            throw FeedbackMessageError(
                code: first?.code ?? error.code,
                field: first.map { String($0.pointer.dropFirst(2)) } ?? ""
            )
        }
        guard request.eventID != nil else { throw FeedbackMessageError(code: "required", field: "event_id") }
        return request
    }

    /// Whether what was sent as an event is of a user. Where it says of none, whether it holds the id as a text by itself.
    package static func isNamed(_ user: User.ID, in bytes: [UInt8]) -> Bool {
        let id = user.string.utf8
        guard let document = try? JSONReader.read(bytes) else {
            let quoted = [UInt8(ascii: "\"")] + Array(id) + [UInt8(ascii: "\"")]
            return bytes.elementsEqual(id) || bytes.contains(quoted)
        }
        if case .object(let members) = document,
            case .string(let named)? = members.first(where: { $0.name == "user_id" })?.value
        {
            return named.utf8.elementsEqual(id)
        }
        return document.holds(id)
    }
}

extension JSONValue {
    fileprivate func holds(_ text: String.UTF8View) -> Bool {
        switch self {
        case .string(let string): string.utf8.elementsEqual(text)
        case .array(let elements): elements.contains { $0.holds(text) }
        case .object(let members):
            members.contains { $0.name.utf8.elementsEqual(text) || $0.value.holds(text) }
        case .null, .bool, .integer, .number: false
        }
    }
}
