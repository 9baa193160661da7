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
    @discardableResult
    func run<Value: Decodable>(
        _ method: String,
        _ path: String,
        _ document: (any Encodable)? = nil,
        as type: Value.Type,
        show: (Value) -> Void
    ) async throws -> Value {
        let client = try await self.client()
        let answer = try await client.call(method, path, document)
        let value = try client.decode(answer, as: type)
        if self.json { Terminal.line(String(decoding: answer, as: UTF8.self)) } else { show(value) }
        return value
    }

    /// As ``run(_:_:_:as:show:)``, for a change of what nodes serve: fails where it was to be everywhere, and is not known to be.
    func change<Value: AdminChange>(
        _ method: String,
        _ path: String,
        _ document: any Encodable,
        as type: Value.Type,
        waiting: WaitOption,
        show: (Value) -> Void
    ) async throws {
        let change = try await self.run(method, path + waiting.query, document, as: type, show: show)
        try waiting.check(change.complete)
    }
}

/// Of commands that change what nodes serve.
struct WaitOption: ParsableArguments {
    @Flag(help: "Answer when every node serves by it; ends with 1 where that is not known in time, though it is done.")
    var wait = false

    /// The query that asks for it.
    var query: String { self.wait ? "?wait=all" : "" }

    /// Fails where the answer was waited for, and is not what was waited for.
    func check(_ complete: Bool?) throws {
        guard self.wait, complete == false else { return }
        Terminal.error("vireo: it is done, and not known to be on every node yet; GET /v1/admin/epochs/EPOCH tells")
        throw ExitCode(1)
    }
}

/// What a change says of the other nodes.
func spread(propagated: Bool, complete: Bool?) -> String {
    if complete == true { return "on every node" }
    return propagated ? "on every node within the freshness lease" : "not announced; nodes follow by their own reads"
}
