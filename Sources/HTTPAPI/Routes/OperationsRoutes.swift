import HTTPTypes
import NIOCore
import Serving

/// What a platform asks of a node; no key.
struct OperationsRoutes {
    let useCases: UseCases

    var routes: [Route] {
        [
            Route(.get, "/livez", scope: nil) { _ in .json(ByteBuffer(string: #"{"status":"ok"}"#)) },
            Route(.get, "/readyz", scope: nil, answer: self.readiness),
            Route(.get, "/metrics", scope: nil) { _ in
                Answer(contentType: "text/plain; version=0.0.4", body: ByteBuffer(bytes: self.useCases.metrics()))
            },
            Route(.get, "/v1/openapi.json", scope: nil) { _ in .json(Self.document) },
        ]
    }

    /// The OpenAPI document, `deploy/openapi.json`.
    private static let document = ByteBuffer(bytes: PackageResources.openapi_json)

    @Sendable
    private func readiness(_ call: Call) async throws(Problem) -> Answer {
        let readiness = self.useCases.readiness()
        guard readiness.ready else {
            var problem = Problem.unavailable("not_ready", "the node is not ready to serve")
            problem.lists = [
                Problem.List(name: .waitingFor, values: readiness.waitingFor),
                Problem.List(name: .degraded, values: readiness.degraded),
            ]
            throw problem
        }
        var json = JSONWriter(capacity: 64)
        json.raw(#"{"ready":true,"degraded":"#)
        json.list(readiness.degraded) { json, part in json.string(part) }
        json.raw("}")
        return .json(json.buffer)
    }
}
