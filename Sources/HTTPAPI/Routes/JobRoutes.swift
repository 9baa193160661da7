import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `POST /v1/admin/precompute`, and `GET /v1/admin/jobs/{job}`: what runs for longer than a request.
struct JobRoutes {
    let models: ModelUseCases
    let warming: WarmingUseCases

    /// A name of a place where lists are shown; which there are is the policy's business.
    private enum Surface {}

    var routes: [Route] {
        [
            Route(.post, "/v1/admin/precompute", scope: .admin, takesBody: true, isBulk: true, answer: self.precompute),
            Route(.get, "/v1/admin/jobs/{job}", scope: .admin, answer: self.job),
        ]
    }

    @Sendable
    private func precompute(_ call: Call) async throws(Problem) -> Answer {
        var reader = try FieldReader(
            try call.json(),
            fields: ["surface", "users"],
            document: #"{"surface":"home","users":"active_7d"}"#
        )
        let surface: Identifier<Surface>? = reader.identifier("surface", required: true)
        _ = reader.choice("users", among: ["active_7d"]) { $0 == "active_7d" ? $0 : nil }
        try reader.check()
        guard let surface else { throw .internalError("a missing surface was not noticed") }
        let job = try await mapped { () async throws(ServingError) in
            try await self.warming.start(surface.string, call.principal.tenant)
        }
        return .taken(WarmJob.name(job))
    }

    @Sendable
    private func job(_ call: Call) async throws(Problem) -> Answer {
        let (name, tenant) = (try call.segment(0), call.principal.tenant)
        let document: ByteBuffer?
        if let number = ModelJob.number(name) {
            document = try await mapped { () async throws(ServingError) in
                try await self.models.job(number, tenant).map { JSONWriter.document($0) }
            }
        } else if let number = WarmJob.number(name) {
            document = try await mapped { () async throws(ServingError) in
                try await self.warming.job(number, tenant).map { JSONWriter.document($0) }
            }
        } else {
            let allowed = "b or w and a number, for example b7"
            throw .invalid([FieldError(pointer: "#/job", code: "invalid", allowed: allowed)])
        }
        guard let document else { throw .notFound }
        return .json(document)
    }
}

extension Answer {
    /// A job was taken that runs on.
    static func taken(_ job: String) -> Answer {
        var json = JSONWriter(capacity: 32)
        json.raw(#"{"job":"#)
        json.string(job)
        json.raw("}")
        return Answer(status: .accepted, body: json.buffer)
    }
}

extension JSONWriter {
    static func document(_ job: WarmJob) -> ByteBuffer {
        var json = JSONWriter(capacity: 320)
        json.raw(#"{"job":"#)
        json.string(WarmJob.name(job.number))
        json.raw(#","state":"#)
        json.string(job.state.rawValue)
        json.raw(#","surface":"#)
        json.string(job.surface)
        json.raw(#","users":"active_7d","scheduled":"#)
        json.bool(job.isScheduled)
        json.raw(#","total":"#)
        if let total = job.progress.total { json.integer(total) } else { json.null() }
        json.raw(#","computed":"#)
        json.integer(job.progress.computed)
        json.raw(#","held":"#)
        json.integer(job.progress.held)
        json.raw(#","failed":"#)
        json.integer(job.progress.failed)
        json.times(reason: job.reason, created: job.createdAt, started: job.startedAt, finished: job.finishedAt)
        return json.buffer
    }

    /// What every job says at its end.
    mutating func times(reason: String?, created: Timestamp, started: Timestamp?, finished: Timestamp?) {
        self.raw(#","reason":"#)
        self.string(reason)
        self.raw(#","created_at":"#)
        self.string(created.rfc3339)
        self.raw(#","started_at":"#)
        self.string(started?.rfc3339)
        self.raw(#","finished_at":"#)
        self.string(finished?.rfc3339)
        self.raw("}")
    }
}
