import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `GET /v1/admin/epochs/{epoch}`: which nodes serve by a change of the control state.
struct EpochRoutes {
    let useCases: UseCases

    var routes: [Route] { [Route(.get, "/v1/admin/epochs/{epoch}", scope: .admin, answer: self.epoch)] }

    @Sendable
    private func epoch(_ call: Call) async throws(Problem) -> Answer {
        let text = try call.segment(0)
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let epoch = Int64(text)
        else { throw .invalid([FieldError(pointer: "#/epoch", code: "invalid", allowed: "the epoch of a change")]) }
        let progress = try await mapped { () async throws(ServingError) in
            try await self.useCases.epoch(epoch, call.isFleet ? nil : call.principal.tenant)
        }
        guard let progress else { throw .notFound }
        return .json(JSONWriter.document(progress))
    }
}

extension JSONWriter {
    static func document(_ progress: EpochProgress) -> ByteBuffer {
        var json = JSONWriter(capacity: 64 + 96 * progress.nodes.count)
        json.raw(#"{"epoch":"#)
        json.integer(progress.epoch)
        json.raw(#","nodes":"#)
        json.list(progress.nodes) { json, node in
            json.raw(#"{"id":"#)
            json.string(node.id)
            json.raw(#","applied_at":"#)
            json.string(node.appliedAt?.rfc3339)
            json.raw(#","lag_ms":"#)
            if let appliedAt = node.appliedAt {
                json.integer(max(0, (appliedAt.microseconds - progress.createdAt.microseconds) / 1_000))
            } else {
                json.null()
            }
            json.raw("}")
        }
        json.raw(#","complete":"#)
        json.bool(progress.isComplete)
        json.raw("}")
        return json.buffer
    }
}
