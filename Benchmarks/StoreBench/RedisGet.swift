import Redis

/// GET of 1 KiB by many tasks over few connections.
struct RedisGet {
    let port: Int
    let connections: Int

    func run(tasks: Int, seconds: Int) async throws {
        let clients = (0..<connections).map { _ in
            RedisClient(
                configuration: RedisConfiguration(port: port, commandTimeout: .seconds(5)),
                logger: .silent
            )
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients {
                group.addTask { try await client.run() }
                try await client.waitUntilReady(timeout: .seconds(5))
            }
            let value = [UInt8](repeating: UInt8(ascii: "x"), count: 1_024)
            _ = try await clients[0].send(RedisCommand("SET", arguments: [Array("store-bench".utf8), value]))
            try await Load(tasks: tasks, seconds: seconds).run("redis-get") { task in
                let reply = try await clients[task % clients.count].send(RedisCommand("GET", "store-bench"))
                guard case .bulk(let bytes) = reply, bytes.count == 1_024 else { throw WrongAnswer() }
            }
            group.cancelAll()
        }
    }
}

struct WrongAnswer: Error {}
