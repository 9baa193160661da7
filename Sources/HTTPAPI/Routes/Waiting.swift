import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `wait=all` of a change: the answer is given when every node serves by it.
struct Waiting: Sendable {
    /// The query's parameter.
    static let parameter = "wait"

    let everywhere: @Sendable (Announcement) async -> Bool

    /// Whether a change is to wait; asked before it is made.
    static func isAsked(_ call: Call) throws(Problem) -> Bool {
        guard let text = call.query[Self.parameter] else { return false }
        guard text.hasSameBytes(as: "all") else {
            throw .invalid([FieldError(pointer: "#/wait", code: "invalid", allowed: "all")])
        }
        return true
    }

    /// Whether a change that has been made is everywhere, after having waited for it; nil: nobody asks.
    func isComplete(_ announcement: Announcement, isAsked: Bool) async -> Bool? {
        isAsked ? await self.everywhere(announcement) : nil
    }
}

extension Answer {
    /// The answer to a change: 202 where it was to be everywhere and is not known to be.
    static func change(_ body: ByteBuffer, isComplete: Bool?) -> Answer {
        Answer(status: isComplete == false ? .accepted : .ok, body: body)
    }
}

extension JSONWriter {
    /// The last members of an answer to a change.
    ///
    /// - Parameter isComplete: Nil: that was not asked.
    mutating func announced(_ announcement: Announcement, isComplete: Bool?) {
        self.announced(isPropagated: announcement.isPropagated, isComplete: isComplete)
    }

    mutating func announced(isPropagated: Bool, isComplete: Bool?) {
        self.raw(#","propagated":"#)
        self.bool(isPropagated)
        if let isComplete {
            self.raw(#","complete":"#)
            self.bool(isComplete)
        }
        self.raw("}")
    }
}
