import Foundation
import LoadClient
import Testing

@testable import LoadTest

@Suite("Scenarios")
struct ScenarioTests {
    static let population = Population(
        users: 100,
        userFormat: IDFormat("u%06d")!,
        items: 50,
        itemFormat: IDFormat("i%d")!
    )

    static func maker(_ scenario: Scenario, seed: UInt64 = 1) -> RequestMaker {
        RequestMaker(scenario: scenario, population: Self.population, seed: seed, run: "r")
    }

    @Test("every built-in scenario can be read, has its name, and says what it does")
    func builtIn() throws {
        #expect(
            Scenario.builtIn.map(\.name) == ["warm", "l2", "cold", "mix", "stampede", "large", "keys"]
        )
        for (name, _) in Scenario.builtIn {
            let scenario = try #require(try Scenario.builtIn(name))
            #expect(scenario.name == name)
            #expect(scenario.description.utf8.count > 40)
            for number in 0..<20 { #expect(!Self.maker(scenario).request(for: .request(number)).target.isEmpty) }
        }
        #expect(try Scenario.builtIn("nonsense") == nil)
    }

    @Test("the mix is one purchase in a hundred, by Zipf's law")
    func mix() throws {
        let maker = Self.maker(try #require(try Scenario.builtIn("mix")))
        let requests = (0..<20_000).map { maker.request(for: .request($0)) }
        let posts = requests.filter { $0.method == .post }
        #expect((140...260).contains(posts.count), "\(posts.count)")
        struct Event: Decodable {
            let event_id: String
            let user_id: String
            let item_id: String
            let type: String
        }
        let events = try posts.map { try JSONDecoder().decode(Event.self, from: Data(try #require($0.body).utf8)) }
        #expect(Set(events.map(\.event_id)).count == events.count)
        #expect(events.allSatisfy { $0.type == "purchase" && $0.user_id.hasPrefix("u0") && $0.item_id.hasPrefix("i") })
        // 1 / H(100) of them are the first user's.
        let first = requests.filter { $0.target.contains("u000001") }.count
        #expect((3_500...4_100).contains(first), "\(first)")
    }

    @Test("the same seed and number give the same request, whatever came before; another seed gives others")
    func repeatable() throws {
        let scenario = try #require(try Scenario.builtIn("mix"))
        let forward = (0..<200).map { Self.maker(scenario).request(for: .request($0)) }
        let maker = Self.maker(scenario)
        #expect((0..<200).reversed().map { maker.request(for: .request($0)) }.reversed() == forward)
        let other = Self.maker(scenario, seed: 2)
        #expect((0..<200).map { other.request(for: .request($0)) } != forward)
    }

    @Test("a stampede asks for one user only, and so do its invalidations")
    func stampede() throws {
        let scenario = try #require(try Scenario.builtIn("stampede"))
        let maker = Self.maker(scenario)
        #expect(Set((0..<50).map { maker.request(for: .request($0)).target }).count == 1)
        #expect(scenario.every.map(\.period) == [.milliseconds(500)])
        let voids = (0..<5).map { maker.request(for: .extra(0, $0)) }
        #expect(voids.allSatisfy { $0.method == .post && $0.body?.contains("u000001") == true })
        #expect(Set(voids.map(\.body)).count == 5)
    }

    @Test("a pass asks for every user, in order, again and again")
    func pass() throws {
        let maker = Self.maker(try #require(try Scenario.builtIn("warm")))
        #expect(maker.preparation(0).target == "/v1/recommendations/u000001?limit=20")
        #expect(maker.preparation(99).target.contains("u000100"))
        #expect(maker.preparation(100).target.contains("u000001"))
    }

    @Test("ids are encoded for where they stand")
    func encoding() throws {
        let scenario = try Scenario(
            json: Data(
                #"""
                {"name": "odd", "choices": {"what": ["a\"b\\\n/?é"]},
                 "requests": [{"path": "/x/{what}?q={what}", "body": {"list": ["{what}", 1, true, null, 1.5], "a": {}}}]}
                """#.utf8
            )
        )
        let request = Self.maker(scenario).request(for: .request(0))
        #expect(request.target == "/x/a%22b%5C%0A%2F%3F%C3%A9?q=a%22b%5C%0A%2F%3F%C3%A9")
        #expect(request.method == .post)
        #expect(request.body == #"{"a":{},"list":["a\"b\\\u000A/?é",1,true,null,1.5]}"#)
    }

    @Test(
        "a bad document is refused, with the place and what is allowed",
        arguments: [
            ("[]", "scenario:"), ("{", "not a JSON document"), (#"{"name": "x"}"#, ".requests: must have"),
            (#"{"requests": [{"path": "/a"}]}"#, ".name: is required"),
            (#"{"name": "x", "request": []}"#, #"nobody knows "request"; known are name"#),
            (#"{"name": "x", "requests": [{"path": "/{usr}"}]}"#, "nobody knows {usr}; known are {user}"),
            (#"{"name": "x", "requests": [{"path": "a"}]}"#, ".path: must begin with /"),
            (#"{"name": "x", "requests": [{"path": "/a", "method": "BREW"}]}"#, "GET|POST|PUT|DELETE"),
            (#"{"name": "x", "requests": [{"path": "/a", "weight": -1}]}"#, ".weight: must be 0.0.."),
            (#"{"name": "x", "requests": [{"path": "/a", "weight": 0}]}"#, "weight above 0"),
            (#"{"name": "x", "requests": [{"path": 7}]}"#, ".path"),
            (#"{"name": "x", "users": {"order": "odd"}, "requests": [{"path": "/a"}]}"#, "uniform|zipf|sequential"),
            (#"{"name": "x", "users": {"once": true}, "requests": [{"path": "/a"}]}"#, "sequential"),
            (#"{"name": "x", "every": [{"path": "/a"}], "requests": [{"path": "/a"}]}"#, ".ms: is required"),
            (#"{"name": "x", "choices": {"a": []}, "requests": [{"path": "/a"}]}"#, ".choices: a must have values"),
        ]
    )
    func refused(json: String, says: String) {
        let error = #expect(throws: ScenarioError.self) { try Scenario(json: Data(json.utf8)) }
        #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
    }

    @Test("formats of ids")
    func formats() {
        #expect(IDFormat("u%06d")?.id(42) == "u000042")
        #expect(IDFormat("u%06d")?.id(12_345_678) == "u12345678")
        #expect(IDFormat("%d")?.id(7) == "7")
        #expect(IDFormat("a-%03d-z")?.id(7) == "a-007-z")
        for bad in ["u", "%", "%s", "%6d", "%0d", "%0xd", "%d%d", "%099d"] { #expect(IDFormat(bad) == nil, "\(bad)") }
    }

    @Test("Zipf's law, to within what 200,000 draws allow")
    func zipf() {
        let zipf = ZipfDistribution(count: 1_000, exponent: 1)
        var counts = [Int](repeating: 0, count: 1_000)
        var generator = SplitMix(seed: 5)
        for _ in 0..<200_000 { counts[zipf.draw(using: &generator)] += 1 }
        let harmonic = (1...1_000).reduce(0.0) { $0 + 1 / Double($1) }
        for k in [1, 2, 5, 10, 50] {
            let expected = 200_000 / harmonic / Double(k)
            #expect(abs(Double(counts[k - 1]) - expected) < 5 * expected.squareRoot(), "rank \(k)")
        }
        let flat = ZipfDistribution(count: 4, exponent: 0)
        var drawn: Set<Int> = []
        for _ in 0..<200 { drawn.insert(flat.draw(using: &generator)) }
        #expect(drawn == [0, 1, 2, 3])
    }

    @Test("addresses")
    func addresses() {
        #expect(Address("http://127.0.0.1:8080")?.port == 8080)
        #expect(Address("HTTP://node/")?.description == "http://node:80")
        #expect(Address("http://[::1]:9/x/")?.description == "http://[::1]:9/x")
        for loopback in ["http://127.0.0.1", "http://127.9.9.9:1", "http://localhost:1", "http://[::1]"] {
            #expect(Address(loopback)?.isLoopback == true, "\(loopback)")
        }
        for remote in ["http://127.0.0.1.example.com", "http://10.0.0.1", "http://node"] {
            #expect(Address(remote)?.isLoopback == false, "\(remote)")
        }
        for bad in [
            "https://a", "a:80", "http://", "http://a:0", "http://a:70000", "http://u@a", "http://a?x", "http://a b",
            "http://[::1", "http://[::1]x", "http://a:1\r\nX: y",
        ] {
            #expect(Address(bad) == nil, "\(bad)")
        }
    }
}
