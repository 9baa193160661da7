import Foundation
import LocalServers
import Testing

/// The admin API from the shell.
@Suite("Admin commands", .serialized)
struct AdminCommandTests {
    @Test("policies, tombstones, purges and nodes are handled from the shell, each failure in one line")
    func shell() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            let environment = [
                "VIREO_ADMIN_URL": "http://127.0.0.1:\(fleet.nodes[0].adminPort)/",
                "VIREO_API_KEY": fleet.keys.admin,
            ]
            func succeed(_ arguments: String...) async throws -> String {
                try await Vireo.succeed(arguments, environment)
            }
            func fail(_ arguments: String..., saying text: String) async throws {
                let outcome = try await Vireo.run(arguments, environment)
                #expect(outcome.code == 1, "\(arguments)")
                #expect(outcome.errors.contains(text), "\(outcome.errors)")
                #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
                #expect(outcome.output.isEmpty)
            }
            let file = "\(fleet.directory)/p8.json"
            try #"{"pool_size":50,"surfaces":["home","shelf"]}"#.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(try await succeed("policy", "put", file, "--version", "p8") == "p8 is stored")
            #expect(try await succeed("policy", "put", file, "--version", "p8") == "p8 was stored already, the same")
            let document = try await succeed("policy", "get", "p8")
            #expect(document.hasPrefix(#"{"weights":{"collaborative":0.4,"#) && document.contains(#""pool_size":50"#))
            try document.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(
                try await succeed("policy", "put", file, "--version", "p8", "--json")
                    == #"{"version":"p8","created":false}"#
            )
            try #"{"pool_size":51}"#.write(toFile: file, atomically: true, encoding: .utf8)
            try await fail("policy", "put", file, "--version", "p8", saying: "p8 is stored with another content")
            try #"{"pool_size":9,"ttl":{"soft_s":0}}"#.write(toFile: file, atomically: true, encoding: .utf8)
            try await fail(
                "policy",
                "put",
                file,
                "--version",
                "p9",
                saying: "ttl/soft_s must be 1..86400; pool_size must be 10..1000 (422)"
            )
            try await fail("policy", "put", "/nowhere/p.json", "--version", "p9", saying: "/nowhere/p.json")
            try await fail("policy", "get", "p99", saying: "nothing here (404)")
            #expect(try await succeed("policy", "activate", "p8", "--dry-run") == "p8 would be in force")
            #expect(
                try await succeed("policy", "activate", "p8", "--percent", "12.5").hasPrefix(
                    "p0 is in force, p8 for 12.5 % of the users, on every node"
                )
            )
            #expect(try await succeed("policy", "list").contains("p8\tcanary"))
            #expect(try await succeed("policy", "rollback", "p8").hasPrefix("p0 is in force, on every node"))
            #expect(
                try await succeed("policy", "try", "p8", "--users", "20").contains(
                    " of 20 lists differ from those by p0"
                )
            )
            try await fail("policy", "try", "p8", "--surface", "nowhere", saying: "surface")
            #expect(try await succeed("policy", "activate", "p8").hasPrefix("p8 is in force, on every node"))
            #expect(try await fleet.app(0).get("/v1/recommendations/u000001?surface=shelf").status == 200)
            let list = try await succeed("policy", "list").split(separator: "\n")
            #expect(list.count == 2 && list[0].hasPrefix("p8\tactive\t20") && list[1] == "p0\tprevious\tbuilt in")
            #expect(
                try await succeed("policy", "list", "--json").hasPrefix(
                    #"{"active":"p8","previous":"p0","canary":null,"epoch":"#
                )
            )
            try await fail("policy", "rollback", "p7", saying: "p7 is not in force; p8 is (409)")
            #expect(try await succeed("policy", "rollback", "p8").hasSuffix("before it: none"))
            #expect(try await fleet.app(0).get("/v1/recommendations/u000001?surface=shelf").status == 422)

            #expect(
                try await succeed("tombstone", "add", "item", "i000001", "a|b", "--reason", "legal").hasPrefix(
                    "2 added, 0"
                )
            )
            let tombstones = try await succeed("tombstone", "list", "--kind", "item")
            #expect(tombstones.contains("item\ti000001\tfor good\t") && tombstones.contains("\tlegal"))
            #expect(try await succeed("tombstone", "list", "--kind", "creator").isEmpty)
            try await fail(
                "tombstone",
                "add",
                "item",
                "i1",
                "--expires-at",
                "2020-01-01T00:00:00Z",
                saying: "expires_at must be a time to come (422)"
            )
            #expect(try await succeed("tombstone", "remove", "item", "i000001", "a|b", "i7").hasPrefix("2 removed, 1"))

            let ids = (0..<1_500).map { "many-\($0)\r\n" }.joined() + "\n"
            try ids.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(try await succeed("tombstone", "add", "item", "--file", file).hasPrefix("1500 added, 0"))
            let first = try await succeed("tombstone", "remove", "item", "many-7")
            #expect(first.hasPrefix("1 removed, 0"))
            // Two pages, a line each as JSON.
            let many = try await succeed("tombstone", "list").split(separator: "\n")
            #expect(many.count == 1_499 && Set(many).count == 1_499)
            let pages = try await succeed("tombstone", "list", "--json").split(separator: "\n")
            #expect(pages.count == 2 && pages[1].hasSuffix(#""next_cursor":null}"#))
            // Folded or not.
            #expect(
                try await succeed("tombstone", "remove", "item", "--file", file, "--json")
                    .contains(#""removed":1499,"absent":1,"#)
            )
            #expect(try await succeed("tombstone", "list").isEmpty)
            let missing = "cannot use /nowhere: No such file or directory"
            try await fail("tombstone", "add", "item", "--file", "/nowhere", saying: missing)
            try "".write(toFile: file, atomically: true, encoding: .utf8)
            try await fail("tombstone", "add", "item", "--file", file, saying: "has 0 ids; one change has 1 to 100000")

            #expect(try await succeed("purge", "user", "u000001").hasPrefix("the user is at version"))
            #expect(try await succeed("purge", "user", "nobody at all") == "there is no such user")
            #expect(try await succeed("purge", "surface", "home", "--dry-run") == "nothing was purged")
            #expect(try await succeed("purge", "tenant").hasPrefix("generation "))

            try await fail("nodes", saying: "tenant _fleet (403)")
            let key = try await Vireo.succeed(
                ["keys", "create", "--tenant", "_fleet", "--scopes", "admin"],
                fleet.environment
            )
            try await eventually("the key is known and the node is listed", within: 10) {
                let outcome = try await Vireo.run(["nodes"], environment.merging(["VIREO_API_KEY": key]) { $1 })
                return outcome.code == 0 && outcome.output.hasPrefix("n1\t") && outcome.output.contains("\tp0\t")
            }
            let wrong = try await Vireo.run(["nodes"], environment.merging(["VIREO_API_KEY": "s3cret"]) { $1 })
            #expect(wrong.code == 1 && wrong.errors.contains("(401)") && !wrong.errors.contains("s3cret"))
            // The public port is not the admin API.
            let other = environment.merging(["VIREO_ADMIN_URL": "http://127.0.0.1:\(fleet.nodes[0].port)"]) { $1 }
            #expect(try await Vireo.run(["policy", "list"], other).errors.contains("nothing here (404)"))
            // And a Redis is no HTTP server.
            let redis = environment.merging(["VIREO_ADMIN_URL": "http://127.0.0.1:\(fleet.redis.port)"]) { $1 }
            let foreign = try await Vireo.run(["policy", "list"], redis)
            #expect(
                foreign.code == 1 && foreign.errors.contains("does not answer like the admin API"),
                "\(foreign.errors)"
            )
        }
    }

    @Test(
        "bad usage ends with 2 and names what is allowed",
        arguments: [
            (["policy", "put", "p.json"], "version"),
            (["policy", "put", "p.json", "--version", "a b"], "A-Za-z0-9._-"),
            (["policy", "activate", "a/b"], "A-Za-z0-9._-"), (["policy", "rollback"], "version"),
            (["policy", "activate", "p8", "--percent", "0"], "--percent must be 0.01..100"),
            (["policy", "nonsense"], "nonsense"),
            (["tombstone", "add", "user", "u1"], "item|creator|category|campaign"),
            (["tombstone", "add", "item"], "ids"), (["tombstone", "add", "item", "i1", "--file", "f"], "not both"),
            (["tombstone", "list", "--kind", "x"], "item|creator"),
            (["purge", "all"], "user|surface|model|policy|tenant"), (["purge", "user"], "say which user"),
            (["nodes", "extra"], "extra"), (["recommend", "--policy", "p 8"], "A-Za-z0-9._-"),
        ]
    )
    func badUsage(arguments: [String], names: String) async throws {
        let outcome = try await Vireo.run(arguments)
        #expect(outcome.code == 2, "\(outcome.errors)")
        #expect(outcome.errors.contains(names), "\(outcome.errors)")
    }

    @Test(
        "bad settings and a node that is not there are one clear line",
        arguments: [
            ("https://127.0.0.1:1", "http://host:port"), ("127.0.0.1:9080", "http://host:port"),
            ("http://", "http://host:port"), ("http://u:s3cret@h:1", "http://host:port"),
            ("http://h:1/v1", "http://host:port"), ("http://h:99999", "http://host:port"),
            ("http://127.0.0.1:1", "cannot reach http://127.0.0.1:1: connection refused"),
            ("http://[::1]:1", "cannot reach http://[::1]:1"),
            ("http://no-such-host.invalid:1", "cannot reach http://no-such-host.invalid:1: no such host"),
        ]
    )
    func unreachable(url: String, text: String) async throws {
        let outcome = try await Vireo.run(["policy", "list"], ["VIREO_ADMIN_URL": url, "VIREO_API_KEY": "s3cret"])
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains(text), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        #expect(!outcome.errors.contains("s3cret"))
    }

    @Test("an experiment is started, weighed, judged and stopped from the shell")
    func experiment() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            let environment = [
                "VIREO_ADMIN_URL": "http://127.0.0.1:\(fleet.nodes[0].adminPort)/",
                "VIREO_API_KEY": fleet.keys.admin,
            ]
            func succeed(_ arguments: String...) async throws -> String {
                try await Vireo.succeed(["experiment"] + arguments, environment)
            }
            let file = "\(fleet.directory)/e1.json"
            func write(_ document: String) throws {
                try document.write(toFile: file, atomically: true, encoding: .utf8)
            }
            func experiment(_ policy: String) -> String {
                #"{"id":"e1","surface":"home","variants":[{"name":"a","weight":50},"#
                    + #"{"name":"b","weight":50,"policy":"\#(policy)"}]}"#
            }
            for (version, surfaces) in [("p8", #"["home"]"#), ("p9", #"["shelf"]"#)] {
                let stored = try await fleet.admin(0).send(
                    "PUT",
                    "/v1/admin/policies/\(version)",
                    body: #"{"pool_size":50,"surfaces":\#(surfaces)}"#
                )
                #expect(stored.status < 300)
            }
            try write(experiment("p9"))
            let refused = try await Vireo.run(["experiment", "start", file], environment)
            #expect(refused.code == 1 && refused.errors.contains("policy p9 does not offer home"), "\(refused.errors)")
            #expect(try await succeed("list").isEmpty, "nothing was started")
            try write(experiment("p8"))
            let started = try await succeed("start", file, "--wait")
            #expect(started.hasPrefix("e1 runs on home, on every node; 31235 users"), "\(started)")
            #expect(try await succeed("list") == "e1\trunning\thome\te1\t100 %\ta=50,b=50")
            try write(#"{"variants":[{"name":"a","weight":20},{"name":"b","weight":70,"policy":"p8"}]}"#)
            #expect(try await succeed("variants", "e1", file).hasPrefix("e1: a=20, b=70, "))
            #expect(try await succeed("results", "e1").contains("insufficient; 31235 users of each variant are needed"))
            #expect(try await succeed("stop", "e1", "--json").contains(#""state":"stopped""#))
            #expect(try await succeed("list").hasPrefix("e1\tstopped"))
            let unknown = try await Vireo.run(["experiment", "stop", "e9"], environment)
            #expect(unknown.code == 1 && unknown.errors.contains("(404)"))
        }
    }

    @Test("every command has help with an example")
    func help() async throws {
        for command in [
            ["policy", "put"], ["policy", "get"], ["policy", "list"], ["policy", "activate"], ["policy", "rollback"],
            ["tombstone", "add"], ["tombstone", "remove"], ["tombstone", "list"], ["purge"], ["nodes"],
            ["experiment", "start"], ["experiment", "list"], ["experiment", "results"], ["experiment", "variants"],
            ["experiment", "stop"],
        ] {
            let outcome = try await Vireo.run(command + ["--help"])
            #expect(outcome.code == 0)
            #expect(outcome.output.contains("Example"), "\(command)")
        }
    }
}
