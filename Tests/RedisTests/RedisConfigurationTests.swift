import Testing

@testable import Redis

@Suite("A Redis configuration")
struct RedisConfigurationTests {
    @Test("is read from a URL")
    func url() throws {
        let full = try RedisConfiguration(url: "redis://us%65r:p%40s%3As/w%2F@example.org:6380/12")
        #expect(full.host == "example.org" && full.port == 6380 && full.database == 12)
        #expect(full.username == "user" && full.password == "p@s:s/w/")

        let short = try RedisConfiguration(url: "redis://localhost")
        #expect(short.host == "localhost" && short.port == 6379 && short.database == 0)
        #expect(short.username == nil && short.password == nil)
        #expect(short.commandTimeout == .milliseconds(100) && short.maxQueued == 10_000)

        let passwordOnly = try RedisConfiguration(url: "redis://:a@b@[::1]:7000/")
        #expect(passwordOnly.host == "::1" && passwordOnly.port == 7000)
        #expect(passwordOnly.username == nil && passwordOnly.password == "a@b")
    }

    @Test("is TLS by its scheme, with files as options")
    func securedURL() throws {
        let plain = try RedisConfiguration(url: "redis://h")
        #expect(plain.tls == nil)
        let system = try RedisConfiguration(url: "RedisS://:pw@h:6380/2")
        #expect(system.tls == RedisTLS() && system.port == 6380 && system.database == 2 && system.password == "pw")
        let files = try RedisConfiguration(url: "rediss://h/?ca_file=/a%20b/ca.pem&key_file=k&cert_file=c")
        #expect(files.tls == RedisTLS(caFile: "/a b/ca.pem", certificateFile: "c", keyFile: "k"))
        #expect(files.host == "h" && files.database == 0)
    }

    @Test("names sentinels, the master they watch, and what they ask for themselves")
    func sentinelURL() throws {
        let plain = try RedisConfiguration(url: "redis+sentinel://u:p@h1,h2:7,[::1]:8/my.master_1-a/3")
        let sentinels = try #require(plain.sentinels)
        #expect(sentinels.addresses.map(\.description) == ["h1:26379", "h2:7", "[::1]:8"])
        #expect(sentinels.master == "my.master_1-a" && sentinels.password == nil && sentinels.tls == nil)
        #expect(plain.database == 3 && plain.username == "u" && plain.password == "p" && plain.tls == nil)
        let options = "ca_file=c&sentinel_user=s&sentinel_password=p%26q"
        let secured = try RedisConfiguration(url: "rediss+sentinel://h/m?\(options)")
        #expect(secured.tls == RedisTLS(caFile: "c") && secured.sentinels?.tls == RedisTLS(caFile: "c"))
        #expect(secured.sentinels?.username == "s" && secured.sentinels?.password == "p&q")
        let mixed = try RedisConfiguration(url: "rediss+sentinel://h/m?sentinel_tls=off")
        #expect(mixed.tls == RedisTLS() && mixed.sentinels?.tls == nil)
    }

    @Test("names some nodes of a cluster")
    func clusterURL() throws {
        let plain = try RedisConfiguration(url: "redis+cluster://u:p@h1,h2:7,[::1]:8,h1:6379/0")
        #expect(plain.cluster.map(\.description) == ["h1:6379", "h2:7", "[::1]:8"])
        #expect(plain.username == "u" && plain.password == "p" && plain.tls == nil && plain.sentinels == nil)
        let secured = try RedisConfiguration(url: "rediss+cluster://h?ca_file=c")
        #expect(secured.tls == RedisTLS(caFile: "c") && secured.cluster.count == 1)
    }

    @Test(
        "refuses what it does not support or understand",
        arguments: [
            ("localhost:6379", .missingScheme),
            ("rediss://h?", .invalidOption), ("rediss://h?ca_file", .invalidOption),
            ("rediss://h?ca_file=", .invalidOption), ("rediss://h?ca_file=a&ca_file=b", .invalidOption),
            ("rediss://h?ca_file=a&verify=no", .invalidOption), ("rediss://h?ca_file=%zz", .invalidEscape),
            ("rediss://h?cert_file=a", .incompleteClientCertificate),
            ("rediss://h?key_file=a", .incompleteClientCertificate),
            ("rediss://h#x", .unexpectedSuffix), ("redis://h?ca_file=a", .unexpectedSuffix),
            ("redis+cluster://h/1", .clusterDatabase), ("redis+cluster://", .invalidHost),
            ("redis+cluster://h,", .invalidHost), ("redis+cluster://h?ca_file=a", .unexpectedSuffix),
            ("rediss+cluster://h?sentinel_tls=off", .invalidOption), ("redis+sentinel://h", .missingMasterName),
            ("redis+sentinel://h/", .missingMasterName), ("redis+sentinel://h/a b", .missingMasterName),
            ("redis+sentinel:///m", .invalidHost), ("redis+sentinel://h,/m", .invalidHost),
            ("redis+sentinel://h,h:0/m", .invalidPort), ("redis+sentinel://h,h:26379/m", .repeatedSentinel),
            ("redis+sentinel://h/m/x", .invalidDatabase), ("redis+sentinel://h/m?ca_file=a", .invalidOption),
            ("redis+sentinel://h/m?sentinel_tls=on", .invalidOption),
            ("redis+sentinel://h/m?sentinel_user=u", .missingPassword), ("redis://h1,h2", .invalidHost),
            ("rediss://h?sentinel_password=a", .invalidOption),
            ("http://h", .unknownScheme), ("redis://", .invalidHost), ("redis://:6379", .invalidHost),
            ("redis://[::1", .invalidHost), ("redis://[::1]x", .invalidHost), ("redis://h:0", .invalidPort),
            ("redis://h:65536", .invalidPort), ("redis://h:", .invalidPort), ("redis://h:+1", .invalidPort),
            ("redis://h/x", .invalidDatabase), ("redis://h/-1", .invalidDatabase),
            ("redis://u@h", .missingPassword), ("redis://u:@h", .missingPassword),
            ("redis://:%4@h", .invalidEscape), ("redis://:%zz@h", .invalidEscape), ("redis://:%ff@h", .invalidEscape),
            ("redis://h?db=1", .unexpectedSuffix), ("redis://h/1#x", .unexpectedSuffix),
        ] as [(String, RedisURLProblem)]
    )
    func refusals(url: String, problem: RedisURLProblem) {
        #expect(throws: RedisError.invalidURL(problem)) { try RedisConfiguration(url: url) }
    }

    @Test("shows its password nowhere")
    func secrecy() {
        var configuration = RedisConfiguration(username: "user", password: "hunter2")
        configuration.sentinels = RedisSentinels(addresses: [], master: "m", password: "hunter22")
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!"\(configuration) \(dumped) \(String(reflecting: configuration))".contains("hunter2"))
        #expect(configuration.password == "hunter2")
        configuration.password = nil
        configuration.sentinels = nil
        #expect(configuration.handshake.isEmpty)
    }

    @Test(
        "an error of a URL never holds the password",
        arguments: [
            "user:hunter2@host", "hunter2://host", "redis://user:hunter2@", "redis://user:hunter2@host:hunter2",
            "redis://hunter2@host", "rediss://user:hunter2@host?hunter2=1",
            "rediss://user:hunter2@host?ca_file=%hunter2",
            "redis://user:%hunter2@host", "redis://:hunter2@host/hunter2",
            "redis+sentinel://host/m?sentinel_password=hunter2&x=hunter2",
            "redis+sentinel://host/m?sentinel_user=hunter2",
        ]
    )
    func secrecyOfErrors(url: String) throws {
        let error = try #require(throws: RedisError.self) { try RedisConfiguration(url: url) }
        #expect(!"\(error) \(String(reflecting: error))".contains("hunter2"))
    }

    @Test("asks for authentication first, with or without a user")
    func handshake() {
        let full = RedisConfiguration(database: 2, username: "u", password: "p", clientName: "n")
        #expect(full.handshake.map(\.name) == ["AUTH", "CLIENT", "SELECT"])
        #expect(full.handshake[0].command.encoded == RedisCommand("AUTH", "u", "p").encoded)
        let plain = RedisConfiguration(password: "p")
        #expect(plain.handshake.map(\.command.encoded) == [RedisCommand("AUTH", "p").encoded])
        var watched = full
        watched.sentinels = RedisSentinels(addresses: [], master: "m")
        #expect(watched.handshake.map(\.name) == ["AUTH", "CLIENT", "ROLE", "SELECT"])
    }

    @Test("the backoff doubles up to its maximum, and jitter takes at most half")
    func backoff() {
        let backoff = RedisBackoff()
        var generator = SeededGenerator(seed: 1)
        for (failures, bound) in [(0, 50), (1, 100), (2, 200), (3, 400), (4, 500), (1000, 500)] {
            var pauses: Set<Duration> = []
            for _ in 0..<100 {
                let pause = backoff.pause(afterFailures: failures, using: &generator)
                #expect(pause >= .milliseconds(bound) / 2 && pause <= .milliseconds(bound))
                pauses.insert(pause)
            }
            #expect(pauses.count > 50)
        }
    }
}
