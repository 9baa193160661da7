import Foundation
import Glibc
import LocalServers

/// A real nginx in front of a fleet, with a cache, in a directory of its own.
///
/// Two listeners over two caches that take no account of who asks (the key is the URL): one believes what the nodes say of
/// caching, the other keeps every answer for a second whatever they say, and then asks whether it still holds.
struct CachingProxy: Sendable {
    let believing: Int
    let stubborn: Int

    static func with(
        _ fleet: Fleet,
        _ body: @escaping @Sendable (CachingProxy) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-nginx")
        let proxy = CachingProxy(believing: try FreePort.find(), stubborn: try FreePort.find())
        try proxy.configuration(fleet, directory).write(
            toFile: "\(directory)/nginx.conf",
            atomically: true,
            encoding: .utf8
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = try await ChildProcess.run(
                    "/usr/sbin/nginx",
                    arguments: ["-p", directory, "-c", "\(directory)/nginx.conf", "-e", "\(directory)/error.log"],
                    environment: [:],
                    log: "\(directory)/output.log"
                )
            }
            group.addTask {
                for port in [proxy.believing, proxy.stubborn] {
                    try await eventually("nginx listens on \(port)", within: 10) {
                        try await RawHTTP(port: port).get("/nothing").status == 404
                    }
                }
                try await body(proxy)
                throw Done()
            }
            do {
                while try await group.next() != nil {}
            } catch is Done {}
            group.cancelAll()
            do { try await group.waitForAll() } catch is LocalServerError {}
        }
        try ScratchDirectory.remove(directory)
    }

    private struct Done: Error {}

    /// One process, in the foreground, so that the test ends it as it ends every child.
    private func configuration(_ fleet: Fleet, _ directory: String) -> String {
        let nodes = fleet.nodes.map { "server 127.0.0.1:\($0.port);" }.joined(separator: " ")
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(directory)/\($0);" }.joined(separator: " ")
        func server(_ port: Int, _ cache: String, _ rules: String) -> String {
            """
            server {
                listen 127.0.0.1:\(port);
                location / {
                    proxy_pass http://vireo;
                    proxy_cache \(cache);
                    proxy_cache_key $request_uri;
                    \(rules)
                    add_header X-Cache $upstream_cache_status always;
                }
            }
            """
        }
        return """
            daemon off;
            master_process off;
            pid \(directory)/pid;
            events { worker_connections 256; }
            http {
                access_log off;
                \(temporary)
                proxy_cache_path \(directory)/believing keys_zone=believing:1m;
                proxy_cache_path \(directory)/stubborn keys_zone=stubborn:1m;
                upstream vireo { \(nodes) }
                \(server(self.believing, "believing", "proxy_cache_valid any 10m;"))
                \(server(
                    self.stubborn,
                    "stubborn",
                    "proxy_ignore_headers Cache-Control; proxy_cache_valid 200 1s; proxy_cache_revalidate on;"
                ))
            }
            """
    }
}
