import Foundation
import Synchronization
import Testing

/// Models on two nodes as a stranger sees them.
@Suite("Models of a fleet", .serialized)
struct ModelFleetTests {
    private struct Model: Decodable {
        let version: String
        let state: String
        let percent: Double
    }

    private struct Job: Decodable {
        let job: String
    }

    /// Lists as they were first seen, by model and user: an answer that mixes two models is another list.
    private final class Seen: Sendable {
        private let lists = Mutex<[String: [String]]>([:])

        func agrees(_ slate: Slate, user: String) -> Bool {
            self.lists.withLock { lists in
                let name = "\(slate.model_version) \(user)"
                let known = lists[name] ?? slate.ids
                lists[name] = known
                return known == slate.ids
            }
        }
    }

    private static let users = (1...60).map { "u" + String(format: "%06d", $0) }
    private static let models = "/v1/admin/models"

    private static func post(_ path: String, _ body: String = "{}", on node: Int, _ fleet: Fleet) async throws -> String
    {
        let response = try await fleet.admin(node).post("\(Self.models)\(path)", body)
        #expect([200, 202].contains(response.status), "\(path): \(response.body)")
        return response.body
    }

    /// The neighbours of the trained model with other weights, as a model of their own that serves other lists.
    private static func bring(_ fleet: Fleet) async throws {
        let file = "\(fleet.directory)/neighbours.tsv"
        try await Vireo.succeed(["models", "export", "m1", "--out", file], fleet.environment)
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count > 1_000)
        // Of each item's neighbours the far ones first.
        let changed = lines.enumerated().map { index, line in
            line.split(separator: "\t").prefix(2).joined(separator: "\t") + "\t\(1 + index % 97)"
        }
        try (changed.joined(separator: "\n") + "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let check = ["models", "import", file, "--format", "tsv", "--validate"]
        try await Vireo.succeed(check, fleet.environment)
        let half = "i000001\ti000002\t1\ni000001\tnobody\tmuch\n"
        try half.write(toFile: "\(file).wrong", atomically: true, encoding: .utf8)
        let wrong = try await Vireo.run(check.map { $0 == file ? "\(file).wrong" : $0 }, fleet.environment)
        #expect(wrong.code == 1 && wrong.output.hasPrefix("nothing is stored"), "\(wrong)")
        #expect(wrong.output.contains("1 rejected") && wrong.errors.contains("wrong:2"), "\(wrong)")
        let output = try await Vireo.succeed(
            ["models", "import", file, "--format", "tsv", "--strict", "--json"],
            fleet.environment
        )
        #expect(output.contains(#""version":"m2","active":false,"#) && output.contains(#""rejected":0"#), "\(output)")
    }

    @Test(
        "a model is rolled out to a part and to all, and rolled back to lists that are still warm; no answer mixes two"
    )
    func rollout() async throws {
        try await Fleet.with { fleet in
            try await Self.bring(fleet)
            for node in 0...1 {
                for user in Self.users {
                    #expect(try await fleet.slate(node, user: user).model_version == "m1")
                }
            }
            let stop = Flag()
            let seen = Seen()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for node in 0...1 {
                    group.addTask {
                        var answers = 0
                        while !stop.isSet, !Task.isCancelled {
                            // Not those whose lists are counted afterwards.
                            let user = "u" + String(format: "%06d", 100 + answers % 40)
                            let slate = try await fleet.slate(node, user: user)
                            #expect(slate.headers["x-vireo-model"] == slate.model_version)
                            #expect(seen.agrees(slate, user: user), "\(slate.model_version) \(user)")
                            answers += 1
                        }
                        return answers
                    }
                }
                group.addTask {
                    defer { stop.set() }
                    try await Self.steps(fleet)
                    return 0
                }
                var total = 0
                for try await answers in group { total += answers }
                #expect(total > 100)
            }
        }
    }

    private static func steps(_ fleet: Fleet) async throws {
        // A part: the same users on both nodes.
        let canary = try await Self.post("/m2:activate?wait=all", #"{"percent":30}"#, on: 0, fleet)
        #expect(canary.contains(#""active":"m1","canary":{"version":"m2","percent":30}"#), "\(canary)")
        #expect(canary.contains(#""nodes_late":0"#) && canary.contains(#""complete":true"#), "\(canary)")
        var taken: [String] = []
        for user in Self.users.prefix(40) {
            let versions = [
                try await fleet.slate(0, user: user).model_version, try await fleet.slate(1, user: user).model_version,
            ]
            #expect(versions[0] == versions[1])
            if versions[0] == "m2" { taken.append(user) }
        }
        #expect((3...25).contains(taken.count), "\(taken.count) of 40 at 30 percent")
        // All: on every node when that was waited for.
        let all = try await Self.post("/m2:activate?wait=all", on: 1, fleet)
        #expect(all.contains(#""active":"m2","canary":null,"previous":"m1""#), "\(all)")
        for node in 0...1 {
            for user in Self.users.prefix(20) {
                #expect(try await fleet.slate(node, user: user).model_version == "m2")
            }
        }
        // Back: every list is where it was, of the forty users who did not ask meanwhile too.
        let back = try await Self.post("/m2:rollback?wait=all", on: 0, fleet)
        #expect(back.contains(#""active":"m1","canary":null,"previous":null"#), "\(back)")
        for node in 0...1 {
            var hits = 0
            for user in Self.users {
                let slate = try await fleet.slate(node, user: user)
                #expect(slate.model_version == "m1")
                if ["l1", "l2"].contains(slate.served_from.tier) { hits += 1 }
            }
            #expect(Double(hits) >= 0.95 * Double(Self.users.count), "\(hits) of \(Self.users.count) on node \(node)")
        }
        let list = try await fleet.admin(1).get(Self.models)
        #expect(list.body.contains(#""version":"m2","state":"retired""#), "\(list.body)")
    }

    @Test(
        "a model that falls too far below is refused by the API and the shell, unless forced; a training is done as a job"
    )
    func guardedAndJob() async throws {
        try await Fleet.with { fleet in
            try await Self.bring(fleet)
            try await fleet.sql(
                """
                UPDATE model_versions SET metrics = '{"ndcg_at_10":0.08}', baseline = 1,
                    baseline_metrics = '{"ndcg_at_10":0.2}' WHERE number = 2
                """
            )
            let refused = try await fleet.admin(0).post("\(Self.models)/m2:activate", "{}")
            #expect(refused.status == 409)
            for part in [
                #""code":"model_guard""#, #""metric":"ndcg_at_10","value":0.08"#, #""active_value":0.2"#,
                #""allowance":0.1"#,
            ] { #expect(refused.body.contains(part), "\(refused.body)") }
            let shell = try await Vireo.run(["models", "activate", "m2"], fleet.environment)
            #expect(shell.code == 1)
            for part in ["m2", "m1", "ndcg_at_10", "0.08", "0.2", "10 %", "--force"] {
                #expect(shell.errors.contains(part), "\(shell.errors)")
            }
            #expect(try await fleet.slate(1, user: "u000001").model_version == "m1")
            let forced = try await Self.post("/m2:activate?wait=all", #"{"force":true}"#, on: 0, fleet)
            #expect(forced.contains(#""comparison":"forced""#), "\(forced)")
            #expect(try await fleet.slate(1, user: "u000001").model_version == "m2")
            let shown = try await Vireo.succeed(["models", "show", "m2", "--json"], fleet.environment)
            #expect(shown == (try await fleet.admin(0).get("\(Self.models)/m2")).body, "the same in both places")

            let taken = try await fleet.admin(1).post("\(Self.models):train", #"{"activate":true}"#)
            #expect(taken.status == 202)
            let job = try JSONDecoder().decode(Job.self, from: Data(taken.body.utf8)).job
            try await eventually("the training is done", within: 60) {
                let body = try await fleet.admin(0).get("/v1/admin/jobs/\(job)").body
                #expect(!body.contains(#""state":"failed""#), "\(body)")
                return body.contains(#""state":"done","recipe":null,"activate":true,"model":"m3""#)
            }
            try await eventually("it serves on both nodes", within: 10) {
                try await fleet.everywhere { try await fleet.slate($0, user: "u000002").model_version == "m3" }
            }
        }
    }
}
