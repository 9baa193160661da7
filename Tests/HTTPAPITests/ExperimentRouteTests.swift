import HTTPAPI
import RecommendationCore
import Serving
import Synchronization
import Testing

@Suite("Experiment routes")
struct ExperimentRouteTests {
    private static let path = "/v1/admin/experiments"
    private static let whole =
        #"{"id":"e1","surface":"detail","unit":"user","layer":"l1","percent":12.5,"variants":["#
        + #"{"name":"a","weight":50,"policy":"p7"},{"name":"b","weight":33.33,"policy":"p8","model":"m42"}],"#
        + #""allocation":"thompson","metric":"conversion","baseline":0.04,"mde":0.2,"alpha":0.01,"power":0.9}"#

    @Test("an experiment is read whole, and what is left out has the value that most take")
    func start() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(ports.admin, "POST", Self.path, Self.whole)
            #expect(reply.status == 201, "\(reply.text)")
            let order = try #require(canned.last.experiments.last)
            #expect(
                order
                    == ExperimentOrder(
                        id: "e1",
                        surface: "detail",
                        layer: "l1",
                        share: 1_250,
                        variants: [
                            Experiment.Variant(name: "a", weight: 5_000, policy: "p7"),
                            Experiment.Variant(name: "b", weight: 3_333, policy: "p8", model: 42),
                        ],
                        design: Experiment.Design(
                            metric: .conversion,
                            baseline: 0.04,
                            effect: 0.2,
                            alpha: 0.01,
                            power: 0.9
                        ),
                        allocation: .thompson
                    )
            )
            let short = #"{"id":"e2","variants":[{"name":"a","weight":50},{"name":"b","weight":50}]}"#
            let answer = try await send(ports.admin, "POST", Self.path + "?wait=all", short)
            #expect(answer.status == 201 && answer.text.contains(#""required_per_variant":31235"#), "\(answer.text)")
            #expect(answer.text.contains(#""complete":true"#))
            let least = try #require(canned.last.experiments.last)
            #expect(least.surface == "home" && least.layer == "e2" && least.share == 10_000)
            #expect(least.design == Experiment.Design(metric: .clickThrough))
        }
    }

    @Test(
        "what is wrong is pointed at",
        arguments: [
            ("{}", "id"), (#"{"id":".."}"#, "id"), (#"{"id":"\#(String(repeating: "x", count: 33))"}"#, "id"),
            (#"{"id":"e"}"#, "variants"), (#"{"id":"e","variants":[{"name":"a","weight":1}]}"#, "variants"),
            (#"{"id":"e","variants":[{"name":"a","weight":60},{"name":"b","weight":41}]}"#, "variants"),
            (#"{"id":"e","variants":[{"name":"a","weight":1},{"name":"a","weight":1}]}"#, "variants/1/name"),
            (#"{"id":"e","variants":[{"name":"a","weight":-1},{"name":"b","weight":1}]}"#, "variants/0/weight"),
            (#"{"id":"e","variants":[{"name":"a"},{"name":"b","weight":1}]}"#, "variants/0/weight"),
            (
                #"{"id":"e","variants":[{"name":"a","weight":1,"model":"42"},{"name":"b","weight":1}]}"#,
                "variants/0/model"
            ),
            (#"{"id":"e","variants":[1,{"name":"b","weight":1}]}"#, "variants/0"),
            (#"{"id":"e","variants":[{"name":"a","weight":100.001},{"name":"b","weight":0}]}"#, "variants/0/weight"),
            (#"{"id":"e","variants":[{"name":"a","weight":0},{"name":"b","weight":-0.0}]}"#, "variants"),
            (#"{"id":"e","metric":"clicks"}"#, "metric"), (#"{"id":"e","unit":"session"}"#, "unit"),
            (#"{"id":"e","allocation":"x"}"#, "allocation"),
            (#"{"id":"e","baseline":0}"#, "baseline"), (#"{"id":"e","mde":0}"#, "mde"),
            (#"{"id":"e","alpha":1}"#, "alpha"),
            (#"{"id":"e","power":0.1}"#, "power"), (#"{"id":"e","baseline":0.6,"mde":1}"#, "mde"),
            (#"{"id":"e","percent":0}"#, "percent"),
        ]
    )
    func invalid(_ body: String, _ pointer: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(ports.admin, "POST", Self.path, body)
            #expect(reply.status == 422, "\(body)")
            #expect(reply.text.contains(##""pointer":"#/\##(pointer)""##), "\(reply.text)")
            #expect(canned.last.experiments.isEmpty)
            if body.contains(#"{"name":"a"},"#) { #expect(reply.text.contains(#""required""#), "\(reply.text)") }
        }
    }

    @Test("one that is not there is not found, names are checked, and other members are unknown")
    func others() async throws {
        try await withServers { ports in
            let variants = #"{"variants":[{"name":"a","weight":50},{"name":"b","weight":50}]}"#
            for (method, path, body) in [
                ("GET", "/none", nil), ("GET", "/none/results", nil), ("POST", "/none:stop", nil),
                ("PUT", "/none/variants", variants),
            ] as [(String, String, String?)] {
                let reply =
                    if let body {
                        try await send(ports.admin, method, Self.path + path, body)
                    } else {
                        try await request(ports.admin, method, Self.path + path)
                    }
                #expect(reply.status == 404, "\(method) \(path): \(reply.text)")
            }
            #expect(try await request(ports.admin, "GET", Self.path + "/%20/results").status == 422)
            #expect(try await send(ports.admin, "POST", Self.path, #"{"ID":"e"}"#).status == 400)
            let one = try await request(ports.admin, "GET", Self.path + "/e1")
            #expect(
                one.text.hasPrefix(
                    #"{"id":"e1","state":"running","surface":"home","unit":"user","layer":"e1","percent":100,"#
                )
            )
            let all = try await request(ports.admin, "GET", Self.path)
            #expect(all.text == #"{"experiments":[\#(one.text)]}"#)
            let results = try await request(ports.admin, "GET", Self.path + "/e1/results")
            let expected =
                #"{"id":"e1","metric":"ctr","variants":[{"name":"a","exposures":10,"conversions":5,"rate":0.5,"ci95":["#
            #expect(results.status == 200 && results.text.hasPrefix(expected), "\(results.text)")
            #expect(results.text.contains(#""lift":null,"p_value":null,"sequential_p_value":null,"p_best":0.25}"#))
            #expect(results.text.hasSuffix(#""required_per_variant":31235,"srm_p":1.0,"verdict":"insufficient"}"#))
        }
    }
}

extension Experiment {
    /// One of two variants that runs.
    static func made(by order: ExperimentOrder) -> Experiment {
        let time = Timestamp(seconds: 1_788_256_800)
        return Experiment(
            id: order.id,
            surface: order.surface,
            layer: order.layer,
            salt: 1,
            variants: order.variants,
            design: order.design,
            users: Buckets().sharing([order.share])!,
            slots: Buckets().sharing(order.variants.map(\.weight))!,
            startedAt: time,
            weighedAt: time
        )
    }

    static let example = Experiment.made(
        by: ExperimentOrder(
            id: "e1",
            surface: "home",
            layer: "e1",
            share: 10_000,
            variants: [Variant(name: "a", weight: 5_000), Variant(name: "b", weight: 5_000)],
            design: Design(metric: .clickThrough)
        )
    )
}
