import LocalServers
import Logging
import Redis
import Testing

@Suite("A Redis client over TLS")
struct RedisTLSTests {
    static let password = "correct-horse-battery"

    /// A server with a port for TLS, certified for the names, beside its plain one.
    private struct Subject {
        let server: LocalRedisServer
        let certificates: Certificates
        let port: Int

        func configuration(host: String = "localhost", tls: RedisTLS? = nil) -> RedisConfiguration {
            var configuration = server.configuration()
            configuration.host = host
            configuration.port = port
            configuration.password = RedisTLSTests.password
            configuration.connectTimeout = .seconds(10)
            configuration.tls = tls ?? RedisTLS(caFile: certificates.authority)
            return configuration
        }

        /// Over the plain port.
        func plain() -> RedisConfiguration {
            var configuration = server.configuration()
            configuration.password = RedisTLSTests.password
            return configuration
        }
    }

    private func withSubject(
        names: String = "DNS:localhost",
        asksForCertificates: Bool = false,
        _ body: (Subject) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-tls-test")
        let certificates = try await Certificates.make(in: directory)
        try await certificates.certify("server", for: names)
        var hasStarted = false
        // A port that was free may be taken a moment later by somebody else's connection.
        for attempt in 1... {
            let port = try FreePort.find()
            let arguments = [
                "--tls-port", "\(port)", "--tls-ca-cert-file", certificates.authority,
                "--tls-cert-file", certificates.certificate("server"), "--tls-key-file", certificates.key("server"),
                "--tls-auth-clients", asksForCertificates ? "yes" : "no",
            ]
            do {
                try await withServer(password: Self.password, extraArguments: arguments) { server in
                    hasStarted = true
                    try await body(Subject(server: server, certificates: certificates, port: port))
                }
                break
            } catch let error as LocalServerError {
                guard !hasStarted, attempt < 5 else { throw error }
            }
        }
        try ScratchDirectory.remove(directory)
    }

    /// Why a client of the configuration gets no connection, and what it said meanwhile.
    private func refusal(_ configuration: RedisConfiguration) async throws -> (loss: RedisConnectionLoss, said: String)
    {
        let events = EventLog<RedisConnectionEvent>()
        let lines = EventLog<String>()
        let logger = Logger(label: "test") { _ in TextLogHandler(lines: lines) }
        let client = RedisClient(configuration: configuration, logger: logger) { events.append($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            try await eventually { !events.all.isEmpty }
            await #expect(throws: RedisError.notConnected) { try await client.send(RedisCommand("PING")) }
            group.cancelAll()
            try await group.waitForAll()
        }
        guard case .connectFailed(let loss) = events.all[0] else { throw NeverHappened() }
        #expect(!lines.all.isEmpty)
        var dumped = ""
        dump(configuration, to: &dumped)
        return (loss, "\(lines.all) \(events.all) \(dumped)")
    }

    @Test("authenticates, selects its database, and does so again after each loss")
    func session() async throws {
        try await withSubject { subject in
            var configuration = subject.configuration()
            configuration.database = 5
            try await withClient(configuration) { client async throws in
                let first = try #require(client.session)
                #expect(try await client.send(RedisCommand("CLIENT", "INFO")).string()?.contains(" db=5 ") == true)
                try await subject.server.restart(empty: true)
                try await eventually { (client.session ?? first) > first }
                #expect(try await client.send(RedisCommand("CLIENT", "INFO")).string()?.contains(" db=5 ") == true)
            }
        }
    }

    @Test("carries replies of many records to many tasks")
    func traffic() async throws {
        try await withSubject { subject in
            try await withClient(subject.configuration()) { client async throws in
                let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                _ = try await client.send(RedisCommand("SET", arguments: [Array("large".utf8), large]))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<16 {
                        group.addTask { () async throws in
                            for round in 0..<20 {
                                let value = "\(task)-\(round)"
                                #expect(try await client.send(RedisCommand("ECHO", value)).string() == value)
                            }
                            #expect(try await client.send(RedisCommand("GET", "large")).bytes() == large)
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test("a subscription is confirmed and hears over TLS")
    func subscription() async throws {
        try await withSubject { subject in
            try await withClient(subject.configuration()) { client async throws in
                let subscription = RedisSubscription(
                    configuration: subject.configuration(),
                    channels: ["news"],
                    logger: .silent
                )
                try await withSubscription(subscription) { events in
                    guard case .began(let session) = await events.next() else { throw NeverHappened() }
                    _ = try await client.send(RedisCommand("PUBLISH", "news", "hello"))
                    let message = RedisSubscriptionEvent.message(
                        channel: Array("news".utf8),
                        payload: Array("hello".utf8),
                        session: session
                    )
                    #expect(await events.next() == message)
                }
            }
        }
    }

    @Test("an address is checked against the addresses of the certificate")
    func address() async throws {
        try await withSubject(names: "IP:127.0.0.1") { subject in
            try await withClient(subject.configuration(host: "127.0.0.1")) { client async throws in
                #expect(try await client.send(RedisCommand("PING")).string() == "PONG")
            }
        }
    }

    @Test(
        "a certificate for another name or address is refused, and nothing is said to who has it",
        arguments: [("DNS:other.example", "localhost"), ("DNS:localhost,IP:127.0.0.2", "127.0.0.1")]
    )
    func wrongName(names: String, host: String) async throws {
        try await withSubject(names: names) { subject in
            try await withClient(subject.plain()) { client async throws in
                func authentications() async throws -> (line: String?, session: UInt64?) {
                    let text = try await client.send(RedisCommand("INFO", "commandstats")).string() ?? ""
                    return (
                        text.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_auth:calls=") }.map(String.init),
                        client.session
                    )
                }
                let before = try await authentications()
                let (loss, said) = try await refusal(subject.configuration(host: host))
                guard case .tls = loss else { throw NeverHappened() }
                #expect(!said.contains(Self.password))
                let after = try await authentications()
                // Unless this client itself had to connect again.
                #expect(before.line != nil && (after.line == before.line || after.session != before.session))
            }
        }
    }

    @Test("an authority that the system does not know is not trusted unless it is named")
    func unknownAuthority() async throws {
        try await withSubject { subject in
            let (loss, said) = try await refusal(subject.configuration(tls: RedisTLS()))
            guard case .tls(let reason) = loss else {
                Issue.record("lost for \(loss)")
                return
            }
            #expect(reason.contains("CERTIFICATE_VERIFY_FAILED"))
            #expect(!said.contains(Self.password))
        }
    }

    @Test("files that are missing or no certificates are told, without what they hold")
    func unusableFiles() async throws {
        try await withSubject { subject in
            for tls in [
                RedisTLS(caFile: "/nonexistent/ca.pem"), RedisTLS(caFile: subject.certificates.key("ca")),
                RedisTLS(certificateFile: subject.certificates.certificate("server"), keyFile: "/nonexistent/key.pem"),
            ] {
                let (loss, said) = try await refusal(subject.configuration(tls: tls))
                guard case .tls = loss else { throw NeverHappened() }
                #expect(!said.contains(Self.password) && !said.contains("PRIVATE KEY"))
            }
        }
    }

    @Test("a server that asks for a certificate gets it, and refuses who has none")
    func clientCertificate() async throws {
        try await withSubject(asksForCertificates: true) { subject in
            try await subject.certificates.certify("client", for: "DNS:client")
            let tls = RedisTLS(
                caFile: subject.certificates.authority,
                certificateFile: subject.certificates.certificate("client"),
                keyFile: subject.certificates.key("client")
            )
            try await withClient(subject.configuration(tls: tls)) { client async throws in
                #expect(try await client.send(RedisCommand("PING")).string() == "PONG")
            }
            let (loss, said) = try await refusal(subject.configuration())
            guard case .tls = loss else { throw NeverHappened() }
            #expect(!said.contains(Self.password))
        }
    }

    @Test("a server that does not speak TLS, and TLS on a plain connection, end in an error")
    func wrongProtocol() async throws {
        try await withSubject { subject in
            var configuration = subject.configuration()
            configuration.port = subject.server.port
            let (loss, saidToPlain) = try await refusal(configuration)
            switch loss {
            case .tls, .network, .closedByServer, .handshakeTimeout: break
            default: Issue.record("lost for \(loss)")
            }
            #expect(!saidToPlain.contains(Self.password))
            var plain = subject.plain()
            plain.port = subject.port
            plain.connectTimeout = .milliseconds(300)
            let (_, said) = try await refusal(plain)
            #expect(!said.contains(Self.password))
        }
    }

    @Test("a wrong password is told without the password")
    func wrongPassword() async throws {
        try await withSubject { subject in
            var configuration = subject.configuration()
            configuration.password = "guessed-pass"
            let (loss, said) = try await refusal(configuration)
            #expect(loss == .refused(step: "AUTH", code: "WRONGPASS"))
            #expect(!said.contains("guessed-pass"))
        }
    }

    @Test("a frozen server costs a timeout and no more: its farewell is not waited for")
    func frozen() async throws {
        try await withSubject { subject in
            var configuration = subject.configuration()
            // Long enough for a server that is not frozen, on a busy machine too.
            configuration.commandTimeout = .seconds(2)
            try await withClient(configuration) { client async throws in
                try subject.server.pause()
                await #expect(throws: RedisError.timeout) { try await client.send(RedisCommand("PING")) }
                try subject.server.resume()
                try await client.waitUntilReady(timeout: .seconds(30))
                #expect(try await client.send(RedisCommand("PING")).string() == "PONG")
            }
        }
    }
}
