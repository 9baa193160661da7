/// A private Redis Cluster on 127.0.0.1, primaries with a replica each: for tests.
package struct LocalClusterServers: Sendable {
    /// The first half, or all where there are no replicas, begin as primaries.
    package let servers: [LocalRedisServer]
    private let password: String?
    private let isSecured: Bool

    private static let slots = 16_384

    /// Starts all of them and returns when every node knows of every other, all slots have an owner and every replica follows.
    ///
    /// A primary is given up after two seconds without an answer.
    ///
    /// - Parameter tls: Lines of configuration that name certificates; with them nodes speak TLS to each other, and to
    ///   clients on a port of its own.
    package static func start(
        directory: String,
        primaries count: Int = 3,
        replicas: Bool = true,
        password: String? = nil,
        tls: [String] = []
    ) async throws(LocalServerError) -> LocalClusterServers {
        var servers: [LocalRedisServer] = []
        do throws(LocalServerError) {
            for index in 0..<(replicas ? 2 * count : count) {
                servers.append(try await Self.node("\(directory)/node-\(index + 1)", password: password, tls: tls))
            }
            let cluster = LocalClusterServers(servers: servers, password: password, isSecured: !tls.isEmpty)
            for (index, primary) in servers.prefix(count).enumerated() {
                let (first, last) = (Self.slots * index / count, Self.slots * (index + 1) / count - 1)
                try await cluster.expect("+OK", from: primary, to: "CLUSTER ADDSLOTSRANGE \(first) \(last)")
            }
            for server in servers.dropFirst() { try await cluster.introduce(server) }
            for server in servers {
                try await cluster.until(server, says: "cluster_known_nodes:\(servers.count)\r\n", to: "CLUSTER INFO")
            }
            for (primary, replica) in zip(servers, servers.dropFirst(count)) {
                let following = "CLUSTER REPLICATE \(await cluster.id(of: primary))"
                try await cluster.until(replica, says: "+OK", to: following)
                try await cluster.until(replica, says: "master_link_status:up", to: "INFO replication")
            }
            for server in servers {
                try await cluster.until(server, says: "cluster_state:ok", to: "CLUSTER INFO")
                for replica in servers.dropFirst(count) {
                    try await cluster.until(server, saysOf: replica, "slave")
                }
            }
        } catch {
            for server in servers { try await server.stop() }
            throw error
        }
        return LocalClusterServers(servers: servers, password: password, isSecured: !tls.isEmpty)
    }

    /// For VIREO_REDIS_URL, without the password: the first two are named, who know the others.
    package var url: String {
        let ports = self.servers.prefix(2).map { self.isSecured ? self.setting("tls-port", of: $0) : "\($0.port)" }
        let scheme = self.isSecured ? "rediss" : "redis"
        return "\(scheme)+cluster://\(ports.map { "127.0.0.1:\($0)" }.joined(separator: ","))"
    }

    /// Starts one more node, without slots, and returns when all know it, and it takes keys.
    package func grown(directory: String) async throws(LocalServerError) -> LocalClusterServers {
        let server = try await Self.node(directory, password: self.password, tls: [])
        let grown = LocalClusterServers(servers: self.servers + [server], password: self.password, isSecured: false)
        do throws(LocalServerError) {
            try await grown.introduce(server)
            for each in grown.servers {
                try await grown.until(each, says: "cluster_known_nodes:\(grown.servers.count)\r\n", to: "CLUSTER INFO")
            }
            try await grown.until(server, says: "cluster_state:ok", to: "CLUSTER INFO")
        } catch {
            try await server.stop()
            throw error
        }
        return grown
    }

    /// The server that has a slot, by what the others say; nil while none of them says so.
    package func primary(of slot: Int) async -> LocalRedisServer? {
        for server in self.servers where server.pid != nil {
            for line in await self.ask(server, "CLUSTER NODES").split(separator: "\n") {
                let words = line.split(separator: " ")
                let flags = words.count > 2 ? words[2].split(separator: ",") : []
                guard flags.contains("master"), !flags.contains("fail"), !flags.contains("fail?") else { continue }
                let owns = words.dropFirst(8).contains { word in
                    let ends = word.split(separator: "-").compactMap { Int($0) }
                    return ends.first.map { $0 <= slot } == true && ends.last.map { slot <= $0 } == true
                }
                guard owns else { continue }
                return self.servers.first { words[1].hasPrefix("127.0.0.1:\($0.port)@") }
            }
        }
        return nil
    }

    /// Moves a slot with all its keys to another primary, as `redis-cli --cluster reshard` does.
    ///
    /// - Returns: What was refused; nil: nothing.
    package func move(slot: Int, to target: LocalRedisServer) async -> String? {
        guard let source = await self.primary(of: slot) else { return "slot \(slot) has no owner" }
        if source.port == target.port { return nil }
        let (from, to) = (await self.id(of: source), await self.id(of: target))
        if let refusal = await self.refusal(by: target, of: "CLUSTER SETSLOT \(slot) IMPORTING \(from)") {
            return refusal
        }
        if let refusal = await self.refusal(by: source, of: "CLUSTER SETSLOT \(slot) MIGRATING \(to)") {
            return refusal
        }
        let authentication = self.password.map { " AUTH \(LocalRedisServer.quoted($0))" } ?? ""
        while true {
            let keys = await self.ask(source, "CLUSTER GETKEYSINSLOT \(slot) 10").split(separator: "\r\n")
                .filter { $0.first != "*" && $0.first != "$" }
            if keys.isEmpty { break }
            for key in keys {
                // One that has gone meanwhile is +NOKEY.
                let moving = "MIGRATE 127.0.0.1 \(target.port) \"\(key)\" 0 10000\(authentication)"
                if let refusal = await self.refusal(by: source, of: moving) { return refusal }
            }
        }
        for server in [target, source] {
            if let refusal = await self.refusal(by: server, of: "CLUSTER SETSLOT \(slot) NODE \(to)") { return refusal }
        }
        return nil
    }

    private func refusal(by server: LocalRedisServer, of question: String) async -> String? {
        let answer = await self.ask(server, question)
        return answer.hasPrefix("+") ? nil : "\(server.port) \(question): \(answer)"
    }

    /// What the nodes call a server.
    package func id(of server: LocalRedisServer) async -> String {
        await self.ask(server, "CLUSTER MYID").split(separator: "\r\n").last.map(String.init) ?? ""
    }

    /// Sends a line to a server and returns its reply as it stands on the wire; empty where there is none.
    package func ask(_ server: LocalRedisServer, _ question: String) async -> String {
        // What ends the answer, whatever comes before it.
        let mark = "vireo-end"
        let authentication = self.password.map { "AUTH \(LocalRedisServer.quoted($0))\r\n" } ?? ""
        let request = "\(authentication)\(question)\r\nECHO \(mark)\r\n"
        let end = Array("$\(mark.utf8.count)\r\n\(mark)\r\n".utf8)
        let answer = await Loopback.exchange(port: server.port, request: request, patience: .seconds(15)) {
            $0.suffix(end.count).elementsEqual(end)
        }
        guard let whole = answer?.utf8.dropLast(end.count) else { return "" }
        let authenticated = Array("+OK\r\n".utf8)
        let isFirst = self.password != nil && whole.starts(with: authenticated)
        return String(decoding: isFirst ? whole.dropFirst(authenticated.count) : whole, as: UTF8.self)
    }

    /// Stops all of them, those that were killed or frozen as well.
    package func stop() async throws(LocalServerError) {
        for server in self.servers { try await server.stop() }
    }

    private static func node(
        _ directory: String,
        password: String?,
        tls: [String]
    ) async throws(LocalServerError) -> LocalRedisServer {
        var lines = [
            "cluster-enabled yes", "cluster-node-timeout 2000", "cluster-port \(try FreePort.find())",
            "repl-diskless-sync-delay 0",
        ]
        if let password { lines.append("masterauth \(LocalRedisServer.quoted(password))") }
        if !tls.isEmpty {
            lines += tls + ["tls-port \(try FreePort.find())", "tls-cluster yes", "tls-replication yes"]
        }
        return try await LocalRedisServer.start(directory: directory, password: password, configuration: lines)
    }

    private func introduce(_ server: LocalRedisServer) async throws(LocalServerError) {
        let port = self.setting("cluster-port", of: server)
        try await self.expect("+OK", from: self.servers[0], to: "CLUSTER MEET 127.0.0.1 \(server.port) \(port)")
    }

    private func setting(_ name: String, of server: LocalRedisServer) -> String {
        Files.text("\(server.directory)/redis.conf")?.split(separator: "\n")
            .first { $0.hasPrefix("\(name) ") }?.split(separator: " ").last.map(String.init) ?? ""
    }

    private func expect(
        _ answer: String,
        from server: LocalRedisServer,
        to question: String
    ) async throws(LocalServerError) {
        let said = await self.ask(server, question)
        guard said.contains(answer) else { throw .didNotStart("redis-server", log: "\(question): \(said)") }
    }

    private func until(
        _ server: LocalRedisServer,
        saysOf replica: LocalRedisServer,
        _ flag: String
    ) async throws(LocalServerError) {
        try await self.until(server, to: "CLUSTER NODES") { answer in
            answer.split(separator: "\n").contains { line in
                let words = line.split(separator: " ")
                return words.count > 2 && words[1].hasPrefix("127.0.0.1:\(replica.port)@")
                    && words[2].split(separator: ",").contains(Substring(flag))
            }
        }
    }

    private func until(
        _ server: LocalRedisServer,
        says text: String,
        to question: String
    ) async throws(LocalServerError) {
        try await self.until(server, to: question) { $0.contains(text) }
    }

    private func until(
        _ server: LocalRedisServer,
        to question: String,
        _ isRight: (String) -> Bool
    ) async throws(LocalServerError) {
        let limit = ContinuousClock.now + .seconds(30)
        while true {
            let answer = await self.ask(server, question)
            if isRight(answer) { return }
            guard ContinuousClock.now < limit else {
                throw .didNotStart("redis-server", log: "\(question): \(answer)")
            }
            do { try await Task.sleep(for: Patience.step * 10) } catch { throw .cancelled }
        }
    }
}
