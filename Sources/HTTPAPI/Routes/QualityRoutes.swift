import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `GET /v1/admin/quality`: how slates did with those who saw them.
struct QualityRoutes {
    let useCases: UseCases

    /// A surface, or the name of a list.
    private enum Surface {}

    /// Counting a month may take seconds.
    private static let allowance = Allowance(body: 0, time: .seconds(20))

    var routes: [Route] {
        [
            Route(
                .get,
                "/v1/admin/quality",
                scope: .admin,
                parameters: ["window", "surface"],
                allowance: Self.allowance,
                isBulk: true,
                answer: self.report
            )
        ]
    }

    @Sendable
    private func report(_ call: Call) async throws(Problem) -> Answer {
        var errors = FieldErrors()
        let window = errors.word(call.query["window"], at: "window", allowed: Self.windows) {
            QualityReport.Window(rawValue: $0)
        }
        let surface: Identifier<Surface>? = call.query["surface"].flatMap {
            errors.identifier($0, at: Pointer("surface"))
        }
        try errors.check()
        let tenant = call.principal.tenant
        let report = try await mapped { () async throws(ServingError) in
            try await self.useCases.quality(window ?? .day, surface?.string, tenant)
        }
        return .json(JSONWriter.document(report))
    }

    private static let windows = QualityReport.Window.allCases.map(\.rawValue).joined(separator: "|")
}
