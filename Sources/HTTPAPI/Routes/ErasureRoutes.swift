import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `DELETE /v1/users/{user_id}`, and `GET /v1/erasures/{job}`: its receipt.
struct ErasureRoutes {
    let useCases: ErasureUseCases

    var routes: [Route] {
        [
            Route(.delete, "/v1/users/{user_id}", scope: .write, isBulk: true, answer: self.erase),
            Route(.get, "/v1/erasures/{job}", scope: .write, answer: self.erasure),
        ]
    }

    @Sendable
    private func erase(_ call: Call) async throws(Problem) -> Answer {
        let id: User.ID = try call.identifier(0, "user_id")
        let answer = try await mapped { () async throws(ServingError) in
            try await self.useCases.erase(id, call.principal.tenant)
        }
        var json = JSONWriter(capacity: 64)
        json.raw(#"{"job":"#)
        json.string(Erasure.name(answer.number))
        json.announced(isPropagated: answer.propagated, isComplete: nil)
        return Answer(status: .accepted, body: json.buffer)
    }

    @Sendable
    private func erasure(_ call: Call) async throws(Problem) -> Answer {
        guard let number = Erasure.number(try call.segment(0)) else {
            throw .invalid([
                FieldError(pointer: "#/job", code: "invalid", allowed: "j and a number, for example j1")
            ])
        }
        let erasure = try await mapped { () async throws(ServingError) in
            try await self.useCases.erasure(number, call.principal.tenant)
        }
        guard let erasure else { throw .notFound }
        return .json(JSONWriter.document(erasure))
    }
}

extension JSONWriter {
    fileprivate static func document(_ erasure: Erasure) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.raw(#"{"job":"#)
        json.string(Erasure.name(erasure.number))
        json.raw(#","state":"#)
        json.string(erasure.state.rawValue)
        json.raw(#","removed":{"redis_keys":"#)
        json.integer(erasure.removed.redisKeys)
        json.raw(#","pg_rows":"#)
        json.integer(erasure.removed.rows)
        json.raw(#","decisions":"#)
        json.integer(erasure.removed.decisions)
        json.raw(#"},"reason":"#)
        json.string(erasure.reason)
        json.raw(#","created_at":"#)
        json.string(erasure.createdAt.rfc3339)
        json.raw(#","finished_at":"#)
        json.string(erasure.finishedAt?.rfc3339)
        json.raw("}")
        return json.buffer
    }
}
