import Foundation
import Testing

/// Bad input at each command: 2 for bad usage, 1 for failure, one clear line, no secret.
@Suite("Command line")
struct CommandLineTests {
    @Test(
        "bad usage ends with 2 and names what is allowed",
        arguments: [
            (["recommend", "--limit", "0"], "1..1000"), (["recommend", "--limit", "x"], "limit"),
            (["import", "/tmp", "--format", "xml"], "movielens"),
            (["import", "/tmp", "--format", "csv"], "items, users"),
            (["import", "/tmp", "--format", "lightgcn", "--kind", "items"], "ndjson and csv only"),
            (["export", "models"], "items, users"), (["export"], "kind"), (["import"], "path"),
            (["nonsense"], "nonsense"),
            (["keys", "create", "--scopes", "root"], "read,write,admin"),
            (["train", "--recipe", "magic"], "p3alpha"), (["evaluate"], "--test"),
            (["evaluate", "--backtest", "--recipe", "magic"], "p3alpha"),
            (["evaluate", "--test", "-", "--at", "0"], "1..1000"),
            (["train", "--tenant", ""], "1 to 128"), (["dev", "--nodes", "0"], "1..16"),
            (["keys", "create", "--tenant", "a\u{1}b"], "control"),
            (["load", "--url", "https://127.0.0.1"], "http://HOST"), (["load", "--rate", "0"], "0.1..500000"),
            (["load", "--scenario", "nonsense"], "warm|l2|cold|mix"), (["load", "--user-format", "u"], "%06d"),
            (["load", "--duration", "9999"], "0.1..3600"), (["load", "--show", "nonsense"], "stampede"),
        ]
    )
    func badUsage(arguments: [String], names: String) async throws {
        let outcome = try await Vireo.run(arguments)
        #expect(outcome.code == 2, "\(outcome.errors)")
        #expect(outcome.errors.contains(names), "\(outcome.errors)")
    }

    @Test(
        "bad settings end with 1 and name the setting, its source and what is allowed",
        arguments: [
            ("VIREO_HTTP_PORT", "99999", "0..65535"), ("VIREO_POSTGRES_POOL", "many", "1..256"),
            ("VIREO_LOG_LEVEL", "loud", "trace|debug"), ("VIREO_AUTH", "maybe", "on|off"),
            ("VIREO_SIGNING_KEY", "k1:c2hvcnQ=", "32 bytes"),
            ("VIREO_POSTGRES_URL", "mysql://u:s3cret@h/d", "postgresql://"),
            ("VIREO_POSTGRES_REPLICA_URL", "mysql://u:s3cret@h/d", "postgresql://"),
            ("VIREO_REDIS_URL", "http://u:s3cret@h", "redis://"),
            ("VIREO_REDIS_URL", "rediss://u:s3cret@h?verify=no", "rediss://"), ("VIREO_NODE_ID", "a b", "A-Za-z0-9"),
            ("VIREO_TYPO", "1", "VIREO_POSTGRES_URL"), ("VIREO_SEEDED_FAULTS", "typo", "publishFirst"),
            ("VIREO_SELF_CHECK_MS", "9", "10..3600000, or off"), ("VIREO_SELF_CHECK_MS", "on", "or off"),
            ("VIREO_ADMIN_ADDRESS", "http://node1:9080", "host:port"), ("VIREO_ADMIN_ADDRESS", "", "host:port"),
            ("VIREO_HTTP_PORT_FILE", "/etc/hosts", "unknown setting"),
        ]
    )
    func badSettings(name: String, value: String, allowed: String) async throws {
        let outcome = try await Vireo.run(["serve"], [name: value])
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains(name), "\(outcome.errors)")
        #expect(outcome.errors.contains(allowed), "\(outcome.errors)")
        #expect(!outcome.errors.contains("s3cret"))
        #expect(!outcome.errors.contains("c2hvcnQ"))
    }

    @Test("a missing setting is named")
    func missing() async throws {
        for command in [["serve"], ["migrate"], ["train"], ["models", "list"], ["keys", "list"]] {
            let outcome = try await Vireo.run(command)
            #expect(outcome.code == 1)
            #expect(outcome.errors.contains("VIREO_POSTGRES_URL is required"), "\(command): \(outcome.errors)")
        }
    }

    @Test("a store that cannot be reached is a failure of one line, without the password")
    func unreachable() async throws {
        let outcome = try await Vireo.run(["migrate"], ["VIREO_POSTGRES_URL": "postgresql://u:s3cret@127.0.0.1:1/d"])
        #expect(outcome.code == 1)
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        #expect(!outcome.errors.contains("s3cret"))
        let doctor = try await Vireo.run(
            ["doctor"],
            [
                "VIREO_POSTGRES_URL": "postgresql://u:s3cret@127.0.0.1:1/d",
                "VIREO_POSTGRES_REPLICA_URL": "postgresql://u:s3cret@127.0.0.1:1/d",
                "VIREO_REDIS_URL": "redis://u:s3cret@127.0.0.1:1",
            ]
        )
        #expect(doctor.code == 1)
        #expect(doctor.output.contains("error\tpostgres"))
        #expect(doctor.output.contains("error\tredis"))
        #expect(doctor.output.contains("warning\treplica"))
        #expect(!(doctor.output + doctor.errors).contains("s3cret"))
    }

    @Test("a file of authorities needs a connection with TLS")
    func redisCAFile() async throws {
        let refused = try await Vireo.run(
            ["serve"],
            ["VIREO_REDIS_URL": "redis://u:s3cret@h", "VIREO_REDIS_CA_FILE": "/ca.pem"]
        )
        #expect(refused.code == 1)
        #expect(refused.errors.contains("VIREO_REDIS_CA_FILE") && refused.errors.contains("rediss://"))
        let taken = try await Vireo.run(
            ["serve", "--print-config"],
            ["VIREO_REDIS_URL": "rediss://u:s3cret@h", "VIREO_REDIS_CA_FILE": "/ca.pem"]
        )
        #expect(taken.code == 0, "\(taken.errors)")
        #expect(taken.output.contains("VIREO_REDIS_CA_FILE=/ca.pem  # environment"))
        #expect(!(taken.output + refused.errors).contains("s3cret"))
        let unusable = try await Vireo.run(
            ["doctor"],
            ["VIREO_REDIS_URL": "rediss://u:s3cret@127.0.0.1:1", "VIREO_REDIS_CA_FILE": "/nonexistent/ca.pem"]
        )
        #expect(unusable.output.contains("error\tredis"))
        #expect(!(unusable.output + unusable.errors).contains("s3cret"))
    }

    @Test("every command has help with an example")
    func help() async throws {
        for command in [
            ["dev"], ["serve"], ["migrate"], ["import"], ["export"], ["demo-data"], ["train"], ["models", "list"],
            ["models", "show"], ["models", "activate"], ["models", "rollback"], ["models", "retire"],
            ["models", "import"], ["models", "export"], ["recommend"], ["evaluate"], ["keys", "create"],
            ["keys", "list"],
            ["keys", "revoke"], ["doctor"], ["load"], ["check"],
        ] {
            let outcome = try await Vireo.run(command + ["--help"])
            #expect(outcome.code == 0)
            #expect(outcome.output.contains("Example:"), "\(command)")
        }
    }

    @Test("the configuration is printed with its sources and without secrets")
    func printConfig() async throws {
        let key = Data(repeating: 9, count: 32).base64EncodedString()
        let outcome = try await Vireo.run(
            ["serve", "--print-config", "--http-port", "1234"],
            [
                "VIREO_POSTGRES_URL": "postgresql://u:s3cret@h/d", "VIREO_SIGNING_KEY": "k1:\(key)",
                "VIREO_POSTGRES_REPLICA_URL": "postgresql://u:s3cret@h2/d",
                "VIREO_LEASE_MS": "500",
            ]
        )
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("VIREO_HTTP_PORT=1234  # flags"))
        #expect(outcome.output.contains("VIREO_LEASE_MS=500  # environment"))
        #expect(outcome.output.contains("VIREO_POSTGRES_REPLICA_URL=********  # environment"))
        #expect(!outcome.output.contains("s3cret"))
        #expect(!outcome.output.contains(key))
    }
}
