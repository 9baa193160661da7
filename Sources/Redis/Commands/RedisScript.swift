import Synchronization

/// A Lua script.
///
/// Make one for each source and keep it: it remembers the digest the server computed.
public final class RedisScript: Sendable {
    /// The Lua source.
    public let source: String
    /// The SHA-1 in hexadecimal.
    ///
    /// It depends on the source only, so it holds for every server.
    private let knownDigest = Mutex<String?>(nil)

    /// Makes a script of its Lua source.
    public init(_ source: String) {
        self.source = source
    }

    fileprivate var digest: String? { knownDigest.withLock { $0 } }

    fileprivate var loadCommand: RedisCommand {
        var command = RedisCommand("SCRIPT", capacity: source.utf8.count + 64)
        command.append("LOAD")
        command.append(source)
        return command
    }

    fileprivate func loaded(_ reply: RedisReply) throws(RedisError) -> String {
        guard let digest = try reply.checked().string() else {
            throw .unexpectedReply(expected: "digest", found: "null")
        }
        knownDigest.withLock { $0 = digest }
        return digest
    }

    fileprivate func evaluation(digest: String, keys: [[UInt8]], arguments: [[UInt8]]) -> RedisCommand {
        let size = keys.reduce(0) { $0 + $1.count + 16 } + arguments.reduce(0) { $0 + $1.count + 16 }
        var command = RedisCommand("EVALSHA", capacity: size + 96)
        command.append(digest)
        command.append(keys.count)
        for key in keys { command.append(key: key) }
        for argument in arguments { command.append(argument) }
        return command
    }
}

extension RedisCommands {
    /// Runs a script and throws its error reply, if it is one.
    ///
    /// The script is loaded when the server does not know it; it never runs twice. With `session` every step goes over
    /// that connection.
    public func run(
        _ script: RedisScript,
        keys: [[UInt8]] = [],
        arguments: [[UInt8]] = [],
        session: UInt64? = nil
    ) async throws(RedisError) -> RedisReply {
        try await runReportingSession(script, keys: keys, arguments: arguments, session: session).reply
    }

    /// Runs a script and reports the session it ran in.
    public func runReportingSession(
        _ script: RedisScript,
        keys: [[UInt8]] = [],
        arguments: [[UInt8]] = [],
        session: UInt64? = nil
    ) async throws(RedisError) -> (reply: RedisReply, session: UInt64) {
        let digest: String
        if let known = script.digest {
            digest = known
        } else {
            digest = try script.loaded(try await send(script.loadCommand, session: session))
        }
        let evaluation = script.evaluation(digest: digest, keys: keys, arguments: arguments)
        do throws(RedisError) {
            return try await sendReportingSession(evaluation, session: session)
        } catch {
            guard case .server(let refusal) = error, refusal.code == "NOSCRIPT" else { throw error }
        }
        // Not run yet, so it may be sent again; loading and running go out together.
        let (replies, ran) = try await pipelineReportingSession([script.loadCommand, evaluation], session: session)
        _ = try script.loaded(replies[0])
        return (try replies[1].checked(), ran)
    }

    /// Runs a script once for each call, in one write, and reports the session; error replies are values here.
    ///
    /// A call that the server did not know the script for has not run, and is sent again with the script.
    public func pipelineReportingSession(
        _ script: RedisScript,
        _ calls: [(keys: [[UInt8]], arguments: [[UInt8]])],
        session: UInt64? = nil
    ) async throws(RedisError) -> (replies: [RedisReply], session: UInt64) {
        let digest: String
        if let known = script.digest {
            digest = known
        } else {
            digest = try script.loaded(try await send(script.loadCommand, session: session))
        }
        let evaluations = calls.map { script.evaluation(digest: digest, keys: $0.keys, arguments: $0.arguments) }
        var (replies, ran) = try await pipelineReportingSession(evaluations, session: session)
        let unknown = replies.indices.filter { index in
            if case .error(let refusal) = replies[index] { refusal.code == "NOSCRIPT" } else { false }
        }
        guard !unknown.isEmpty else { return (replies, ran) }
        // Over the same connection, so that one session holds for all.
        let again = try await pipeline([script.loadCommand] + unknown.map { evaluations[$0] }, session: ran)
        _ = try script.loaded(again[0])
        for (index, reply) in zip(unknown, again.dropFirst()) { replies[index] = reply }
        return (replies, ran)
    }
}
