import Foundation
import LocalServers
import Testing

@Suite("Fleet and invented users", .serialized)
struct InventedUserFleetTests {
    /// What one node says of itself.
    private func metric(_ fleet: Fleet, _ series: String) async throws -> Double {
        let text = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return try #require(line.flatMap { Double($0.split(separator: " ")[1]) }, "no \(series)")
    }

    /// The sum of a family's series.
    private func total(_ fleet: Fleet, _ family: String) async throws -> Double {
        let text = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
        return text.split(separator: "\n").filter { $0.hasPrefix(family + "{") }
            .compactMap { Double($0.split(separator: " ").last!) }.reduce(0, +)
    }

    /// Asks for many ids over a few connections; how many answers were 200.
    private func ask(_ fleet: Fleet, _ ids: [String]) async throws -> Int {
        let chunks = stride(from: 0, to: ids.count, by: 100).map { Array(ids[$0..<min($0 + 100, ids.count)]) }
        return try await withThrowingTaskGroup(of: Int.self) { group in
            var count = 0
            for (place, chunk) in chunks.enumerated() {
                if place >= 16 { count += try await group.next() ?? 0 }
                group.addTask {
                    var request = ""
                    for (index, id) in chunk.enumerated() {
                        let isLast = index == chunk.count - 1
                        request += "GET /v1/recommendations/\(id)?limit=5 HTTP/1.1\r\nHost: t\r\n"
                        request += "Authorization: Bearer \(fleet.keys.app)\r\n"
                        request += isLast ? "Connection: close\r\n\r\n" : "\r\n"
                    }
                    let bytes = try await RawHTTP(port: fleet.nodes[0].port).exchange(Array(request.utf8), timeout: 60)
                    return String(decoding: bytes, as: UTF8.self).components(separatedBy: "HTTP/1.1 200").count - 1
                }
            }
            for try await answered in group { count += answered }
            return count
        }
    }

    private func redis(_ fleet: Fleet, _ arguments: String...) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    with: Result {
                        let process = Process()
                        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-cli")
                        process.arguments = ["-p", "\(fleet.redis.port)"] + arguments
                        let output = Pipe()
                        process.standardOutput = output
                        try process.run()
                        let data = output.fileHandleForReading.readDataToEndOfFile()
                        process.waitUntilExit()
                        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
                    }
                )
            }
        }
    }

    private func usedMemory(_ fleet: Fleet) async throws -> Int {
        let info = try await self.redis(fleet, "INFO", "memory")
        let line = try #require(info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") })
        return try #require(Int(line.dropFirst("used_memory:".count)))
    }

    @Test("thousands of invented ids leave nothing in Redis, nothing in L1, and cost no query the second time")
    func attack() async throws {
        try await Fleet.with(nodes: 1, interactions: 5_000) { fleet in
            let ids = (0..<3_000).map { "nobody-\($0)-\(UInt64.random(in: 0...UInt64.max))" }
            let keys = try await self.redis(fleet, "DBSIZE")
            let memory = try await self.usedMemory(fleet)
            let loads = "vireo_cache_load_seconds_count{cache=\"pool\"}"
            try await eventually("gauges are published", within: 15) {
                try await self.metric(fleet, "vireo_cache_keys{cache=\"pool\"}") >= 1
            }
            let held = try await self.metric(fleet, "vireo_cache_bytes{cache=\"pool\"}")
            let loadsBefore = try await self.metric(fleet, loads)
            #expect(try await self.ask(fleet, ids) == ids.count)
            let loadsOnce = try await self.metric(fleet, loads)
            #expect(loadsOnce - loadsBefore <= Double(ids.count) + 10)

            // The node's own keys come and go; those of the ids would be thousands.
            let left = try await self.redis(fleet, "DBSIZE")
            let room = (Int(keys) ?? 0) + 20
            #expect(Int(left) ?? .max <= room, "\(left) keys, \(keys) before: some outlive their lease")
            let grown = try await self.usedMemory(fleet) - memory
            // 3,000 pools would be 6 MB; what is allowed are buffers of connections.
            #expect(grown < 500_000, "Redis grew by \(grown) bytes")

            // A second round, all of it within the life of the facts: memory alone.
            #expect(try await self.ask(fleet, ids) == ids.count)
            let loadsTwice = try await self.metric(fleet, loads)
            // Facts share a table of fixed size: of some sets the oldest had to make way.
            #expect(loadsTwice - loadsOnce < 600, "\(loadsTwice - loadsOnce) of 3,000 repeated ids were read again")
            try await Task.sleep(for: .seconds(5.5))
            let after = try await self.metric(fleet, "vireo_cache_bytes{cache=\"pool\"}")
            #expect(after <= held + 4_096, "L1 grew from \(held) to \(after) bytes")
            #expect(try await self.total(fleet, "vireo_cache_evictions_total") == 0)
        }
    }

    @Test("the first feedback of a new user is seen at once on its node, and within the lease on the other")
    func firstFeedback() async throws {
        try await Fleet.with(nodes: 2, interactions: 5_000) { fleet in
            for round in 0..<5 {
                let user = "new-\(round)"
                for node in 0...1 {
                    _ = try await fleet.slate(node, user: user)
                    #expect(try await fleet.slate(node, user: user).fallback == "cold_start")
                }
                let item = try #require(try await fleet.slate(0, user: user).ids.first)
                try await fleet.feedback(0, user: user, item: item, event: "first-\(round)")
                let acknowledged = ContinuousClock.now
                let here = try await fleet.slate(0, user: user)
                #expect(!here.ids.contains(item), "bought a moment ago, on this node")
                #expect(here.user_version > 0)
                while true {
                    let begun = ContinuousClock.now
                    guard try await fleet.slate(1, user: user).ids.contains(item) else { break }
                    // Of no read that began a lease, one second, after the acknowledgement.
                    try #require(begun - acknowledged < .seconds(1))
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
        }
    }
}
