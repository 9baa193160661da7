import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `GET /v1/admin/self-check`: what this node's check of the fleet came to; and the questions that nodes ask each other.
struct SelfCheckRoutes {
    let useCases: SelfCheckUseCases

    /// The scheme of `Authorization` that nodes use.
    static let scheme = "Vireo-Node "

    var routes: [Route] {
        [
            Route(.get, "/v1/admin/self-check", scope: .admin, answer: self.report),
            Route(.post, "/v1/admin/self-check/questions", scope: nil, takesBody: true, answer: self.answer),
        ]
    }

    @Sendable
    private func report(_ call: Call) async throws(Problem) -> Answer {
        .json(JSONWriter.document(self.useCases.report(call.isFleet ? nil : call.principal.tenant)))
    }

    /// No key opens it: what is said here is of all tenants.
    @Sendable
    private func answer(_ call: Call) async throws(Problem) -> Answer {
        guard let header = call.headers[.authorization], header.utf8.starts(with: Self.scheme.utf8) else {
            throw .unsealed
        }
        let seal = String(header.dropFirst(Self.scheme.count))
        switch self.useCases.answer(seal, Array(call.body.readableBytesView)) {
        case .answer(let bytes): return .json(ByteBuffer(bytes: bytes))
        case .unsealed: throw .unsealed
        case .unreadable:
            throw .invalid([FieldError(pointer: Pointer.root.string, code: "invalid", allowed: "questions of a node")])
        }
    }
}

extension Problem {
    /// 401: not from a node of this fleet.
    fileprivate static var unsealed: Problem {
        Problem(
            status: .unauthorized,
            code: "unauthenticated",
            detail: "only nodes of this fleet ask here",
            headers: [.wwwAuthenticate: "Vireo-Node"]
        )
    }
}

extension JSONWriter {
    fileprivate static func document(_ report: SelfCheckReport) -> ByteBuffer {
        var json = JSONWriter(capacity: 512 + 512 * report.suspects.count)
        json.raw(#"{"enabled":"#)
        json.bool(report.isOn)
        json.raw(#","pending":"#)
        json.integer(report.pending)
        json.raw(#","within":"#)
        json.list(report.counts) { json, counts in
            json.raw(#"{"kind":"#)
            json.string(counts.kind)
            json.raw(#","seconds":"#)
            json.integer(counts.seconds)
            json.raw(#","consistent":"#)
            json.integer(counts.consistent)
            json.raw(#","stale":"#)
            json.integer(counts.stale)
            json.raw(#","unanswered":"#)
            json.integer(counts.unanswered)
            json.raw(#","share":"#)
            if let share = counts.share { json.double(share) } else { json.null() }
            json.raw("}")
        }
        json.raw(#","suspects":"#)
        json.list(report.suspects) { json, suspect in
            json.raw(#"{"kind":"#)
            json.string(suspect.kind)
            json.raw(#","node":"#)
            json.string(suspect.node)
            json.raw(#","tenant":"#)
            json.string(suspect.tenant)
            switch suspect.change {
            case .user(let id, let version):
                json.raw(#","user_id":"#)
                json.string(id)
                json.raw(#","user_version":"#)
                json.integer(version)
                json.raw(#","tombstone":null"#)
            case .tombstone(let kind, let id, let epoch):
                json.raw(#","user_id":null,"user_version":null,"tombstone":{"kind":"#)
                json.string(kind)
                json.raw(#","id":"#)
                json.string(id)
                json.raw(#","epoch":"#)
                json.integer(epoch)
                json.raw("}")
            }
            json.raw(#","key_hash":"#)
            json.string(suspect.keyHash)
            json.raw(#","after_s":"#)
            json.integer(suspect.seconds)
            json.raw(#","found_at":"#)
            json.string(suspect.foundAt.rfc3339)
            json.raw(#","held":"#)
            json.list(suspect.held) { json, entry in
                json.raw(#"{"tier":"l1","field":"#)
                json.string(entry.field)
                json.raw(#","user_version":"#)
                json.integer(entry.userVersion)
                json.raw(#","age_ms":"#)
                json.integer(entry.ageMilliseconds)
                json.raw("}")
            }
            json.raw(#","proof":"#)
            json.string(suspect.proof)
            json.raw(#","session":"#)
            json.string(suspect.session.map { String($0) })
            json.raw(#","lease_age_ms":"#)
            if let age = suspect.leaseAgeMilliseconds { json.integer(age) } else { json.null() }
            json.raw("}")
        }
        json.raw("}")
        return json.buffer
    }
}
