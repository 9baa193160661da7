import HTTPAPI
import RecommendationCore
import Serving
import Synchronization
import Testing

@Suite("Quality route")
struct QualityRouteTests {
    private typealias Asked = (QualityReport.Window, String?, Tenant.ID)

    @Test("figures by source, with what is not known null")
    func report() async throws {
        let asked = AskedOf<Asked>()
        var useCases = Canned().useCases
        useCases.quality = { window, surface, tenant async throws(ServingError) in
            asked.add((window, surface, tenant))
            return QualityReport(
                since: Timestamp(seconds: 1_788_256_800),
                figures: [
                    QualityReport.Figures(
                        source: Attribution.Source(model: 42, policy: "p7", variant: "e1=b", surface: "home"),
                        slates: 10,
                        clickThrough: Proportion(5, of: 10),
                        conversion: Proportion(0, of: 10),
                        coverage: 0.25,
                        diversity: nil,
                        novelty: 0.75
                    ),
                    QualityReport.Figures(
                        source: Attribution.Source(model: 0, policy: "p0", variant: "", surface: "popular"),
                        slates: 0,
                        clickThrough: Proportion(0, of: 0),
                        conversion: Proportion(0, of: 0),
                        coverage: nil,
                        diversity: 0,
                        novelty: nil
                    ),
                ]
            )
        }
        try await withServers(useCases) { ports in
            let path = "/v1/admin/quality"
            let reply = try await request(ports.admin, "GET", path + "?window=7d&surface=home")
            #expect(reply.status == 200)
            let first =
                #"{"since":"2026-09-01T10:00:00.000Z","sources":[{"surface":"home","model_version":"m42","#
                + #""policy_version":"p7","variant":"e1=b","slates":10,"impressions":10,"clicks":5,"ctr":0.5,"ctr_ci95":[0.2365"#
            #expect(reply.text.hasPrefix(first), "\(reply.text)")
            #expect(reply.text.contains(#""coverage":0.25,"diversity":null,"novelty":0.75},{"surface":"popular","#))
            #expect(
                reply.text.contains(
                    #""variant":null,"slates":0,"impressions":0,"clicks":0,"ctr":null,"ctr_ci95":[0.0,1.0]"#
                )
            )
            _ = try await request(ports.admin, "GET", path)
            #expect(asked.all.map(\.0) == [.week, .day] && asked.all.map(\.1) == ["home", nil])
            for (query, pointer) in [("window=2h", "window"), ("surface=", "surface")] {
                let refused = try await request(ports.admin, "GET", "\(path)?\(query)")
                #expect(
                    refused.status == 422 && refused.text.contains(##""pointer":"#/\##(pointer)""##),
                    "\(refused.text)"
                )
            }
            #expect(try await request(ports.admin, "GET", path + "?days=1").status == 400)
        }
    }
}

/// What was asked, in order.
private final class AskedOf<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    var all: [Value] { self.values.withLock { $0 } }
    func add(_ value: Value) { self.values.withLock { $0.append(value) } }
}
