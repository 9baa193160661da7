import Logging
import Redis

/// What `vireo doctor` says of a Redis Cluster: which of the nodes that are named answer and agree, whether all slots have an
/// owner, and which promise holds when a primary is lost.
struct ClusterExamination: Sendable {
    private struct Answer: Sendable {
        var state = ""
        var size = ""
        var nodes = ""
        var missing = 0
        /// Of the primaries, how many replicas follow them, as this node sees it.
        var replicas: [Substring: Int] = [:]
        /// Milliseconds; nil where CONFIG may not be asked.
        var nodeTimeout: Int?
    }

    let configuration: RedisConfiguration
    let log: Logger

    func findings(within patience: Duration, lease: Duration) async -> [Doctor.Finding] {
        var findings: [Doctor.Finding] = []
        func add(_ verdict: Doctor.Verdict, _ text: String) {
            findings.append(Doctor.Finding(verdict: verdict, subject: "redis", text: text))
        }
        var answers: [Answer] = []
        for address in self.configuration.cluster {
            switch await self.ask(address, within: patience) {
            case .success(let answer): answers.append(answer)
            case .failure(let error): add(.warning, "\(address) cannot be asked: \(error)")
            }
        }
        guard let first = answers.first else {
            add(.bad, "none of the \(self.configuration.cluster.count) nodes that are named can be asked")
            return findings
        }
        let places = "\(first.size) primaries with slots, \(first.nodes) nodes"
        if answers.allSatisfy({ $0.state == "ok" && $0.missing == 0 }) {
            add(.good, "the cluster is whole: \(places)")
        } else {
            add(.bad, "the cluster is not whole (\(first.missing) slots have no owner): \(places)")
        }
        if self.configuration.cluster.count < 2 {
            add(.warning, "one node is named: while it is away nothing can be found at a start")
        }
        if first.replicas.values.min() ?? 0 == 0 {
            add(.warning, "a primary has no replica: its part of the cache, and with it all of L2, goes with it")
        }
        // A primary that is cut off from most of the others takes nothing any more after that time.
        if let timeout = first.nodeTimeout {
            let bound = Int(lease / .milliseconds(1))
            add(
                .good,
                "cluster-node-timeout \(timeout): the bound is \(bound) ms, and \(bound + timeout) ms for nodes that are cut "
                    + "off with an old primary"
            )
        } else {
            add(.warning, "CONFIG is refused: how long a primary that is cut off goes on is not known")
        }
        return findings
    }

    private func ask(_ address: RedisAddress, within patience: Duration) async -> Result<Answer, RedisError> {
        var node = self.configuration
        (node.host, node.port, node.cluster) = (address.host, address.port, [])
        let client = RedisClient(configuration: node, logger: self.log)
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await client.run() } catch { self.log.debug("a node was not followed to the end") }
            }
            defer { group.cancelAll() }
            do throws(RedisError) {
                try await client.waitUntilReady(timeout: patience)
                return .success(try await Self.ask(client))
            } catch {
                return .failure(error)
            }
        }
    }

    private static func ask(_ client: RedisClient) async throws(RedisError) -> Answer {
        var answer = Answer()
        let info = try await client.send(RedisCommand("CLUSTER", "INFO")).string() ?? ""
        for line in info.split(whereSeparator: \.isNewline) {
            let pair = line.split(separator: ":", maxSplits: 1)
            guard pair.count == 2 else { continue }
            switch pair[0] {
            case "cluster_state": answer.state = String(pair[1])
            case "cluster_size": answer.size = String(pair[1])
            case "cluster_known_nodes": answer.nodes = String(pair[1])
            case "cluster_slots_ok": answer.missing = HashSlot.count - (Int(pair[1]) ?? 0)
            default: break
            }
        }
        let nodes = try await client.send(RedisCommand("CLUSTER", "NODES")).string() ?? ""
        let lines = nodes.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count >= 8 }
        for words in lines where words[2].split(separator: ",").contains("master") && words.count > 8 {
            answer.replicas[words[0], default: 0] += 0
        }
        for words in lines where words[2].split(separator: ",").contains("slave") && words[7] == "connected" {
            answer.replicas[words[3]]? += 1
        }
        do throws(RedisError) {
            let pair = try await client.send(RedisCommand("CONFIG", "GET", "cluster-node-timeout")).array()
            answer.nodeTimeout = try pair.last.map { value throws(RedisError) in Int(try value.integer()) }
        } catch {
            guard case .server = error else { throw error }
        }
        return answer
    }
}
