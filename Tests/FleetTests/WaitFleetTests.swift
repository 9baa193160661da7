import Foundation
import Glibc
import LocalServers
import Testing

/// `wait=all`: after the answer no request on any node is served without the change.
@Suite("Waiting for the fleet", .serialized)
struct WaitFleetTests {
    @Test("tombstones, hidden items and stock: from the answer on no list on any of three nodes shows them")
    func checked() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let outcome = try await fleet.check(
                fleet.checkKey(),
                seconds: 8,
                kinds: "tombstone,hidden,stock",
                more: ["--min-pairs", "50"]
            )
            let report = try outcome.report()
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(report.violations == 0, "\(outcome.output)")
            #expect(!report.notes.contains { $0.contains("wait=all") }, "\(report.notes)")
            for kind in ["tombstone", "hidden", "stock"] {
                #expect(try #require(report.kinds[kind]).pairs > 0, "\(kind)")
            }
        }
    }

    @Test("confirmations of all nodes end the wait before a lease of a minute; how far a change has come is told")
    func confirmed() async throws {
        try await Fleet.with(nodes: 3, settings: ["VIREO_LEASE_MS": "60000"]) { fleet in
            let item = try #require(try await fleet.slate(0, user: "u000001").ids.first)
            let begun = ContinuousClock.now
            let change = try await fleet.admin(0).post(
                "/v1/admin/tombstones?wait=all",
                #"{"kind":"item","ids":["\#(item)"]}"#
            )
            #expect(change.status == 200, "\(change)")
            #expect(ContinuousClock.now - begun < .seconds(60), "the lease would have been waited for")
            let answer = try change.json(as: Change.self)
            #expect(answer.propagated && answer.complete == true)
            for node in 0..<3 {
                #expect(!(try await fleet.slate(node, user: "u000001").ids.contains(item)), "node \(node + 1)")
                let progress = try await fleet.admin(node).get("/v1/admin/epochs/\(try #require(answer.epoch))")
                let document = try progress.json(as: Progress.self)
                #expect(document.complete, "\(progress.body)")
                #expect(document.nodes.map(\.id) == ["n1", "n2", "n3"])
                #expect(document.nodes.allSatisfy { $0.lag_ms.map { $0 < 60_000 } ?? false })
            }
            #expect(try await fleet.admin(0).get("/v1/admin/epochs/999999999").status == 404)
            let shell = try await Vireo.run(
                ["tombstone", "remove", "item", item, "--wait", "--admin-url", fleet.adminURL(1)],
                ["VIREO_API_KEY": fleet.keys.admin]
            )
            #expect(shell.code == 0 && shell.output.contains("on every node\n"), "\(shell)")
        }
    }

    @Test("a node that stands still and one that is killed hold nobody up, and show nothing when they go on")
    func deadNodes() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let item = try #require(try await fleet.slate(1, user: "u000001").ids.first)
            #expect(kill(fleet.nodes[1].pid, SIGSTOP) == 0)
            #expect(kill(fleet.nodes[2].pid, SIGKILL) == 0)
            let published = ContinuousClock.now
            let change = try await fleet.admin(0).post(
                "/v1/admin/tombstones?wait=all",
                #"{"kind":"item","ids":["\#(item)"]}"#
            )
            let elapsed = ContinuousClock.now - published
            #expect(kill(fleet.nodes[1].pid, SIGCONT) == 0)
            let slate = try await fleet.slate(1, user: "u000001")
            #expect(change.status == 200, "\(change)")
            #expect(try change.json(as: Change.self).complete == true)
            // Nothing but time can have proved it.
            #expect(elapsed >= .milliseconds(1_050))
            #expect(!slate.ids.contains(item) || slate.degraded.contains("control_unverified"))
        }
    }

    @Test("what cannot be published is complete when all nodes have read of it, and otherwise 202, not complete")
    func unpublished() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let items = try await fleet.slate(0, user: "u000001").ids
            try await fleet.redis.kill()
            // Nodes read the control log every second, and confirm.
            let read = try await fleet.admin(0).post(
                "/v1/admin/tombstones?wait=all",
                #"{"kind":"item","ids":["\#(items[0])"]}"#
            )
            let answer = try read.json(as: Change.self)
            #expect(!answer.propagated)
            #expect(read.status == (answer.complete == true ? 200 : 202), "\(read)")
            if answer.complete == true {
                for node in 0..<3 { #expect(!(try await fleet.slate(node, user: "u000001").ids.contains(items[0]))) }
            }
            // One will not confirm, and there is no lease to wait for.
            #expect(kill(fleet.nodes[2].pid, SIGKILL) == 0)
            let unknown = try await fleet.admin(0).post(
                "/v1/admin/tombstones?wait=all",
                #"{"kind":"item","ids":["\#(items[1])"]}"#
            )
            let second = try unknown.json(as: Change.self)
            #expect(unknown.status == 202 && !second.propagated && second.complete == false, "\(unknown)")
            let shell = try await Vireo.run(
                ["purge", "tenant", "--wait", "--admin-url", fleet.adminURL(0)],
                ["VIREO_API_KEY": fleet.keys.admin]
            )
            #expect(shell.code == 1 && shell.errors.contains("not known to be on every node"), "\(shell)")
            try await fleet.redis.restart(empty: true)
        }
    }

    private struct Change: Decodable {
        let epoch: Int64?
        let propagated: Bool
        let complete: Bool?
    }

    private struct Progress: Decodable {
        struct Node: Decodable {
            let id: String
            let lag_ms: Int?
        }

        let nodes: [Node]
        let complete: Bool
    }
}

extension Fleet {
    fileprivate func adminURL(_ index: Int) -> String { "http://127.0.0.1:\(self.nodes[index].adminPort)" }
}
