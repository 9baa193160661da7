import Glibc
import LocalServers
import Testing

@Suite("A local Redis server")
struct LocalRedisServerTests {
    @Test("answers after its start, dies by SIGKILL, comes back on the same port, and ends when stopped")
    func lifeCycle() async throws {
        try await withScratchDirectory { directory in
            let server = try await LocalRedisServer.start(directory: directory)
            #expect(server.url == "redis://127.0.0.1:\(server.port)/0")
            #expect(try RawConnection(port: server.port).ask("PING\r\n") == "+PONG\r\n")
            let first = try #require(server.pid)

            try await server.kill()
            #expect(server.pid == nil)
            #expect(throws: RawConnection.Refused.self) { try RawConnection(port: server.port) }

            try await server.restart(empty: false)
            #expect(server.pid != nil && server.pid != first)
            #expect(try RawConnection(port: server.port).ask("PING\r\n") == "+PONG\r\n")

            try await server.stop()
            #expect(server.pid == nil)
            try await server.stop()
        }
    }

    @Test("a leftover in the directory is stopped by the next start")
    func leftover() async throws {
        try await withScratchDirectory { directory in
            let crashed = try await LocalRedisServer.start(directory: directory)
            let server = try await LocalRedisServer.start(directory: directory)
            #expect(crashed.pid == nil)
            #expect(server.pid != nil)
            try await server.stop()
        }
    }

    @Test("a pid file that names a stranger does no harm to the stranger")
    func strangersPid() async throws {
        try await withScratchDirectory { directory in
            let stranger = try await LocalRedisServer.start(directory: "\(directory)/a")
            let first = try await LocalRedisServer.start(directory: "\(directory)/b")
            try await first.kill()
            let file = try #require(fopen("\(directory)/b/redis.pid", "w"))
            fputs("\(try #require(stranger.pid))\n", file)
            fclose(file)
            let second = try await LocalRedisServer.start(directory: "\(directory)/b")
            #expect(stranger.pid != nil)
            try await second.stop()
            try await stranger.stop()
        }
    }

    @Test("data survives a restart when the caller asks for a log, and is gone after an empty one")
    func persistence() async throws {
        try await withScratchDirectory { directory in
            let arguments = ["--appendonly", "yes", "--appendfsync", "always"]
            let server = try await LocalRedisServer.start(directory: directory, extraArguments: arguments)
            #expect(try RawConnection(port: server.port).ask("SET k v\r\n") == "+OK\r\n")
            try await server.kill()
            try await server.restart(empty: false)
            #expect(try RawConnection(port: server.port).ask("GET k\r\n") == "$1\r\nv\r\n")
            try await server.restart(empty: true)
            #expect(try RawConnection(port: server.port).ask("GET k\r\n") == "$-1\r\n")
            try await server.stop()
        }
    }

    @Test("a paused server is stopped, too, and a password is asked for")
    func pausedAndPassword() async throws {
        try await withScratchDirectory { directory in
            let server = try await LocalRedisServer.start(directory: directory, password: "p w\"\\ü")
            let connection = try RawConnection(port: server.port)
            #expect(try connection.ask("PING\r\n").hasPrefix("-NOAUTH"))
            try server.pause()
            try server.resume()
            #expect(try connection.ask("AUTH \"p w\\\"\\\\ü\"\r\n") == "+OK\r\n")
            try server.pause()
            try await server.stop()
            #expect(server.pid == nil)
        }
    }

    @Test("a taken port and a wrong argument are errors that tell the reason")
    func failures() async throws {
        try await withScratchDirectory { directory in
            let server = try await LocalRedisServer.start(directory: "\(directory)/a")
            let error = await #expect(throws: LocalServerError.self) {
                try await LocalRedisServer.start(directory: "\(directory)/b", port: server.port)
            }
            let text = try #require(error).description
            #expect(text.contains("Failed listening"))
            await #expect(throws: LocalServerError.self) {
                try await LocalRedisServer.start(directory: "\(directory)/c", extraArguments: ["--no-such-thing", "1"])
            }
            try await server.stop()
        }
    }
}
