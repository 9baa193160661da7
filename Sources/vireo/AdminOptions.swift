import App
import ArgumentParser

/// What commands of the shell that call the admin API have in common.
struct AdminOptions: ParsableArguments {
    @Option(help: "A JSON file with settings; the environment and flags are stronger.")
    var config: String?

    @Option(help: "A node's admin API, as http://host:port; else VIREO_ADMIN_URL, else http://127.0.0.1:9080.")
    var adminURL: String?

    @Flag(help: "Write the answer as JSON.")
    var json = false

    /// A client by the settings; the key is in `VIREO_API_KEY`, or a file named by `VIREO_API_KEY_FILE`.
    func client() async throws -> AdminClient {
        var flags: [SettingName: String] = [:]
        flags[.adminURL] = self.adminURL
        let sources = try await SettingSources(flags: flags, environment: Environment.current, file: self.config)
        return AdminClient(try AdminEndpoint.read(sources))
    }

    /// Calls, and prints the answer as it came or as `show` puts it.
    func run<Value: Decodable>(
        _ method: String,
        _ path: String,
        _ document: (any Encodable)? = nil,
        as type: Value.Type,
        show: (Value) -> Void
    ) async throws {
        let client = try await self.client()
        let answer = try await client.call(method, path, document)
        let value = try client.decode(answer, as: type)
        if self.json { Terminal.line(String(decoding: answer, as: UTF8.self)) } else { show(value) }
    }
}

extension Bool {
    /// What a change says of the other nodes.
    var spread: String {
        self ? "on every node within the freshness lease" : "not announced; nodes follow by their own reads"
    }
}
