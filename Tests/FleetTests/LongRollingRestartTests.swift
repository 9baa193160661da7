import Foundation
import Glibc
import LocalServers
import Synchronization
import Testing

/// Nodes that are stopped and started one after the other while clients go on.
@Suite("Rolling restarts", .serialized)
struct LongRollingRestartTests {
    @Test(
        "three nodes are restarted in turn under load: no client sees an error, and each node is warm when it is ready"
    )
    func rolling() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let balancer = Balancer(fleet)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for node in 0..<3 { group.addTask { await balancer.probe(node) } }
                for caller in 0..<4 { group.addTask { await balancer.read(caller) } }
                group.addTask { await balancer.write() }
                try await Task.sleep(for: .seconds(1))
                for node in 0..<3 {
                    balancer.restarting()
                    // Who does not ask whether a node is ready, and goes on until it is refused.
                    let pid = fleet.nodes[node].pid
                    async let stubborn = balancer.insist(on: node, while: pid)
                    try fleet.nodes[node].process.restart()
                    try await eventually("node \(node + 1) is gone", within: 15) { kill(pid, 0) != 0 }
                    #expect(await stubborn > 0)
                    try await fleet.untilReady(node)
                    let metrics = try await fleet.admin(node).get("/metrics").body
                    let held = metrics.split(separator: "\n").first {
                        $0.hasPrefix(#"vireo_warm_up_places_total{result="held"}"#)
                    }
                    #expect((held?.split(separator: " ").last.flatMap { Double($0) } ?? 0) > 0, "\(held ?? "nothing")")
                }
                balancer.stop()
                let (errors, answers) = balancer.outcome
                #expect(errors.isEmpty, "\(errors.count) of \(answers): \(errors.prefix(5))")
                print("rolling restarts: \(answers) answers; \(balancer.latencies)")
                try await group.waitForAll()
            }
        }
    }

    /// Sends each request, over a connection of its own, to a node that said lately that it is ready.
    private final class Balancer: Sendable {
        private struct State {
            var ready: Set<Int> = [0, 1, 2]
            var isStopped = false
            var isRestarting = false
            var errors: [String] = []
            var before: [Duration] = []
            var during: [Duration] = []
        }

        private let fleet: Fleet
        private let state = Mutex(State())

        init(_ fleet: Fleet) {
            self.fleet = fleet
        }

        func stop() { self.state.withLock { $0.isStopped = true } }
        func restarting() { self.state.withLock { $0.isRestarting = true } }

        private var goesOn: Bool { !Task.isCancelled && !self.state.withLock { $0.isStopped } }

        var outcome: (errors: [String], answers: Int) {
            self.state.withLock { ($0.errors, $0.before.count + $0.during.count) }
        }

        var latencies: String {
            func p99(_ all: [Duration]) -> String {
                guard !all.isEmpty else { return "nothing" }
                return "\(all.sorted()[(all.count * 99) / 100])"
            }
            return self.state.withLock { "p99 before \(p99($0.before)), while restarting \(p99($0.during))" }
        }

        /// As balancers do, every 100 ms.
        func probe(_ node: Int) async {
            while self.goesOn {
                let isReady = (try? await self.fleet.admin(node).get("/readyz").status == 200) ?? false
                self.state.withLock { state in
                    if isReady { state.ready.insert(node) } else { state.ready.remove(node) }
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }

        func read(_ caller: Int) async {
            var number = caller
            while self.goesOn {
                number += 4
                let user = "u" + String(format: "%06d", number % 40 + 1)
                await self.counted { node in
                    try await self.fleet.app(node).get("/v1/recommendations/\(user)?limit=20").status
                }
            }
        }

        func write() async {
            var number = 0
            while self.goesOn {
                number += 1
                let user = "u" + String(format: "%06d", number % 300 + 1)
                let body = #"{"event_id":"r\#(number)","user_id":"\#(user)","item_id":"i000001","type":"purchase"}"#
                await self.counted { node in try await self.fleet.app(node).post("/v1/feedback", body).status }
                try? await Task.sleep(for: .milliseconds(20))
            }
        }

        private func counted(_ send: (Int) async throws -> Int) async {
            guard let node = self.state.withLock({ $0.ready.randomElement() }) else {
                return self.state.withLock { $0.errors.append("no node is ready") }
            }
            let begun = ContinuousClock.now
            do {
                let status = try await send(node)
                let elapsed = ContinuousClock.now - begun
                self.state.withLock { state in
                    if status != 200 { state.errors.append("node \(node + 1): \(status)") }
                    if state.isRestarting { state.during.append(elapsed) } else { state.before.append(elapsed) }
                }
            } catch {
                self.state.withLock { $0.errors.append("node \(node + 1): \(error)") }
            }
        }

        /// Asks a node until it refuses the connection or its process is gone; an answer that is not one is an error, as
        /// elsewhere.
        ///
        /// - Returns: How many answers there were.
        func insist(on node: Int, while pid: Int32) async -> Int {
            var answers = 0
            while !Task.isCancelled, kill(pid, 0) == 0 {
                do {
                    let status = try await self.fleet.app(node).get("/v1/recommendations/u000041?limit=20").status
                    if status != 200 { self.state.withLock { $0.errors.append("insisting: \(status)") } }
                    answers += 1
                } catch let failure as RawHTTP.Failed where failure.description.hasPrefix("cannot connect") {
                    return answers
                } catch {
                    self.state.withLock { $0.errors.append("insisting: \(error)") }
                    return answers
                }
            }
            return answers
        }
    }
}
