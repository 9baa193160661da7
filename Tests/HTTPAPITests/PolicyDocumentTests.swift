import HTTPTypes
import NIOCore
import RecommendationCore
import Serving
import Testing

@testable import HTTPAPI

@Suite("Policy document")
struct PolicyDocumentTests {
    static let whole =
        #"{"weights":{"collaborative":0.4,"content":0.3,"popularity":0.3},"#
        + #""diversity":[{"field":"category","max_per_window":3,"window":10}],"frequency_caps":[],"seen_filter":true,"#
        + #""event_weights":{"purchase":5,"rating":1,"like":3,"click":1,"view":0.2,"dislike":-2,"hide":-3,"add_to_cart":3},"#
        + #""invalidating_events":["purchase","rating","like","dislike","hide","add_to_cart"],"half_life_days":30,"#
        + #""ttl":{"soft_s":300,"active_s":null,"hard_s":1800,"jitter_pct":10},"pool_size":200,"#
        + #""fallback":["stale","precomputed","popular","static"],"static_items":[],"on_unverified":"serve","#
        + #""surfaces":["home","detail","email"],"exploration":{"share":0,"max_age_days":14}}"#

    private static func read(_ json: String, version: String = "p8") throws -> Policy {
        try PolicyDocument.read(try JSONReader.read(Array(json.utf8)), version: version)
    }

    @Test("the built-in policy is written whole, in the order of the contract")
    func builtIn() {
        #expect(String(buffer: JSONWriter.document(Policy.builtIn)) == Self.whole)
    }

    @Test(
        "what is missing takes the built-in value",
        arguments: ["{}", "WHOLE", #"{"ttl":{"active_s":null},"weights":{}}"#]
    )
    func defaults(_ json: String) throws {
        var expected = Policy.builtIn
        expected.version = "p8"
        #expect(try Self.read(json == "WHOLE" ? Self.whole : json) == expected)
    }

    @Test("every field is taken, and a document written is read as the same policy")
    func everyField() throws {
        let json = #"""
            {"weights":{"collaborative":0.25,"content":0.1,"popularity":0.65},
             "diversity":[{"field":"category","max_per_window":1,"window":4}],"frequency_caps":[],"seen_filter":false,
             "event_weights":{"purchase":7.5,"view":0,"hide":-0.125},"invalidating_events":["click"],
             "half_life_days":0.5,"ttl":{"soft_s":60,"active_s":20,"hard_s":60,"jitter_pct":2.5},"pool_size":1000,
             "fallback":["static","stale"],"static_items":["i1","café","cafe\u0301","a|b","*"],
             "on_unverified":"refuse","surfaces":["a.b","C-9_"],"exploration":{"share":0.05,"max_age_days":30}}
            """#
        let policy = try Self.read(json)
        var expected = Policy.builtIn
        expected.version = "p8"
        expected.weights = Policy.Weights(collaborative: 0.25, content: 0.1, popularity: 0.65)
        expected.maximumPerWindow = 1
        expected.window = 4
        expected.seenFilter = false
        expected.eventWeights[.purchase] = 7.5
        expected.eventWeights[.view] = 0
        expected.eventWeights[.hide] = -0.125
        expected.invalidatingEvents = [.click]
        expected.halfLifeDays = 0.5
        expected.softTTL = .seconds(60)
        expected.activeTTL = .seconds(20)
        expected.hardTTL = .seconds(60)
        expected.jitterPercent = 2.5
        expected.poolSize = 1_000
        expected.fallback = [.staticList, .stale]
        expected.staticItems = ["i1", "caf\u{E9}", "cafe\u{301}", "a|b", "*"].map { Item.ID(trusted: $0) }
        expected.onUnverified = .refuse
        expected.surfaces = ["a.b", "C-9_"]
        expected.exploration = Policy.Exploration(share: 0.05, maximumAgeDays: 30)
        #expect(policy == expected)
        #expect(try Self.read(String(buffer: JSONWriter.document(policy))) == policy)
    }

    @Test(
        "null is no value, but of active_s",
        arguments: PolicyDocument.fields.map { ([$0], $0) } + [
            (["ttl", "soft_s"], "ttl/soft_s"), (["weights", "content"], "weights/content"),
            (["event_weights", "view"], "event_weights/view"), (["exploration", "share"], "exploration/share"),
            (["surface_overrides", "home"], "surface_overrides/home"),
            (["surface_overrides", "home", "ttl"], "surface_overrides/home/ttl"),
            (["eligibility", "not"], "eligibility/not"),
        ]
    )
    func null(_ names: [String], _ pointer: String) throws {
        let json = names.reversed().reduce("null") { "{\"\($1)\":\($0)}" }
        let problem = try #require(throws: Problem.self) { try Self.read(json) }
        #expect(problem.status == .unprocessableContent)
        let wrong = Wrong("#/\(pointer)", "invalid", "a value; it may be left out")
        #expect(problem.errors.map { Wrong($0.pointer, $0.code, $0.allowed) }.contains(wrong))
    }

    private static let windows = "1m..30d: whole minutes, hours or days, for example 24h"

    @Test("frequency caps are taken, and written in the largest unit; surfaces of their own inherit them")
    func frequencyCaps() throws {
        let policy = try Self.read(
            #"""
            {"frequency_caps":[{"surface":"shelf","max":3,"per":"24h"},{"max":100,"per":"30d","when":{"creators":["c1"]}},
                {"surface":"popular","max":1,"per":"1m"},{"max":2,"per":"90m"},{"max":2,"per":"90m"}],
             "surfaces":["shelf","home"],"surface_overrides":{"home":{"pool_size":50}}}
            """#
        )
        let expected = [
            Policy.FrequencyCap(surface: "shelf", maximum: 3, window: .seconds(86_400)),
            Policy.FrequencyCap(
                maximum: 100,
                window: .seconds(30 * 86_400),
                when: .creators([ItemExpression.Text(trusted: "c1")])
            ), Policy.FrequencyCap(surface: "popular", maximum: 1, window: .seconds(60)),
            Policy.FrequencyCap(maximum: 2, window: .seconds(5_400)),
            Policy.FrequencyCap(maximum: 2, window: .seconds(5_400)),
        ]
        #expect(policy.frequencyCaps == expected)
        #expect(policy.effective(on: "home").frequencyCaps == expected)
        let written = String(buffer: JSONWriter.document(policy))
        #expect(
            written.contains(
                #""frequency_caps":[{"surface":"shelf","max":3,"per":"1d"},"#
                    + #"{"max":100,"per":"30d","when":{"creators":["c1"]}},{"surface":"popular","max":1,"per":"1m"},"#
                    + #"{"max":2,"per":"90m"},{"max":2,"per":"90m"}],"#
            )
        )
        #expect(try Self.read(written) == policy)
    }

    private static let rules = #"""
        {"eligibility":{"all":[{"not":{"categories":["adult","caf\u00e9"]}},{"any":[{"price":{"min":0.5,"max":20}},
            {"label":{"name":"free"}},{"same_label":{"item":"lang","user":"speaks"}}]},{"regions":["DE"]}]},
         "boosts":[{"factor":1.5,"when":{"label":{"name":"brand","any_of":["x","y"]}}},
            {"factor":0,"when":{"all":[{"request_regions":["CH"]},{"request_locales":["de-CH"]},{"locales":["en"]}]}}],
         "pins":[{"item_id":"i9","position":4,"when":{"user_label":{"name":"age","any_of":["adult"]}}},
            {"item_id":"i7","position":1},{"item_id":"i8","position":2,"when":{"creators":["c1"]}}],
         "pool_size":300,
         "surface_overrides":{"home":{},"email":{"pins":[],"pool_size":50,"weights":{"content":0.2,"popularity":0.4},
            "ttl":{"soft_s":60},"fallback":["popular"],"eligibility":{"price":{"min":3}},"seen_filter":false,
            "event_weights":{"view":0},"half_life_days":3,"static_items":["i1"],"exploration":{"share":0.1},"mmr":{"lambda":1},
            "diversity":[{"field":"creator","max_per_window":1,"window":4}]}},"mmr":{"lambda":0.7},
         "diversity":[{"field":"creator","max_per_window":2,"window":5},{"field":"category","max_per_window":3,"window":8}]}
        """#

    @Test("rules are taken, and a document written is read as the same policy")
    func rules() throws {
        let policy = try Self.read(Self.rules)
        func text(_ text: String) -> ItemExpression.Text { ItemExpression.Text(trusted: text) }
        #expect(
            policy.eligibility
                == .all([
                    .not(.categories([text("adult"), text("caf\u{E9}")])),
                    .any([
                        .price(minimum: 0.5, maximum: 20), .label(text("free"), []),
                        .sameLabel(item: text("lang"), user: text("speaks")),
                    ]), .regions([text("DE")]),
                ])
        )
        #expect(policy.boosts.map(\.factor) == [1.5, 0])
        #expect(policy.boosts[0].when == .label(text("brand"), [text("x"), text("y")]))
        #expect(policy.creatorCap == Policy.DiversityCap(maximum: 2, window: 5) && policy.marginalRelevance == 0.7)
        #expect(policy.maximumPerWindow == 3 && policy.window == 8)
        #expect(policy.pins.map(\.position) == [1, 2, 4] && policy.pins.map(\.item.string) == ["i7", "i8", "i9"])
        #expect(policy.pins[2].when == .userLabel(text("age"), [text("adult")]) && policy.pins[0].when == nil)
        #expect(try Self.read(String(buffer: JSONWriter.document(policy))) == policy)
        // An override is read as the document is, but that what it leaves out is as on the other surfaces.
        var home = policy
        home.surfaceOverrides = []
        #expect(policy.surfaceOverrides.map(\.surface) == ["email", "home"])
        #expect(policy.effective(on: "home") == home && policy.effective(on: "detail") == policy)
        var email = home
        email.pins = []
        email.poolSize = 50
        email.weights = Policy.Weights(collaborative: 0.4, content: 0.2, popularity: 0.4)
        email.softTTL = .seconds(60)
        email.fallback = [.popular]
        email.eligibility = .price(minimum: 3, maximum: nil)
        email.seenFilter = false
        email.eventWeights[.view] = 0
        email.halfLifeDays = 3
        email.staticItems = [Item.ID(trusted: "i1")]
        email.exploration.share = 0.1
        email.maximumPerWindow = 0
        email.creatorCap = Policy.DiversityCap(maximum: 1, window: 4)
        email.marginalRelevance = 1
        #expect(policy.effective(on: "email") == email)
    }

    private static let terms =
        "all|any|not|categories|creators|label|regions|locales|price|request_regions|request_locales|user_label|same_label"

    @Test(
        "what is wrong with a rule is pointed at",
        arguments: [
            (#"{"eligibility":[]}"#, [Wrong("#/eligibility", "invalid", "one object")]),
            (#"{"eligibility":{}}"#, [Wrong("#/eligibility", "invalid", "an object with one of \(terms)")]),
            (
                #"{"eligibility":{"categories":["a"],"creators":["b"]}}"#,
                [Wrong("#/eligibility", "invalid", "an object with one of \(terms)")]
            ),
            (
                #"{"eligibility":{"all":[]}}"#,
                [Wrong("#/eligibility/all", "invalid", "an array of 1 to 100 expressions")]
            ),
            (
                #"{"eligibility":{"any":[{"categories":[]},{"creators":["a","a",""]}]}}"#,
                [
                    Wrong("#/eligibility/any/0/categories", "invalid", "an array of 1 to 100 values"),
                    Wrong("#/eligibility/any/1/creators/1", "duplicate", "each of the values once"),
                    Wrong("#/eligibility/any/1/creators/2", "invalid", Wrong.identifier),
                ]
            ),
            (
                #"{"eligibility":{"not":{"not":{"not":{"not":{"regions":["DE"]}}}}}}"#,
                [Wrong("#/eligibility/not/not/not/not", "too_deep", "at most 4 terms within each other")]
            ),
            (#"{"eligibility":{"price":{}}}"#, [Wrong("#/eligibility/price", "invalid", "min, max, or both")]),
            (
                #"{"eligibility":{"price":{"min":2,"max":1}}}"#,
                [Wrong("#/eligibility/price/min", "out_of_range", "at most max, 1.0")]
            ),
            (
                #"{"eligibility":{"price":{"min":-1}}}"#,
                [Wrong("#/eligibility/price/min", "out_of_range", "0..1000000000000")]
            ),
            (#"{"eligibility":{"label":{}}}"#, [Wrong("#/eligibility/label/name", "required", nil)]),
            (
                #"{"eligibility":{"same_label":{"item":"a"}}}"#,
                [Wrong("#/eligibility/same_label/user", "required", nil)]
            ),
            (
                #"{"eligibility":{"locales":["not a language"]}}"#,
                [Wrong("#/eligibility/locales/0", "invalid", LanguageTag.allowed)]
            ),
            (
                #"{"diversity":[{"field":"creator","max_per_window":1,"window":2},{"field":"creator","max_per_window":1,"window":2}]}"#,
                [Wrong("#/diversity/1/field", "duplicate", "each field once")]
            ),
            (#"{"mmr":{}}"#, [Wrong("#/mmr/lambda", "required", nil)]),
            (#"{"mmr":{"lambda":1.01}}"#, [Wrong("#/mmr/lambda", "out_of_range", "0..1")]),
            (#"{"boosts":{}}"#, [Wrong("#/boosts", "invalid", "an array of 0 to 16 boosts")]),
            (
                #"{"boosts":[{"factor":10.1,"when":{"regions":["DE"]}},{"factor":-1},{}]}"#,
                [
                    Wrong("#/boosts/0/factor", "out_of_range", "0..10"), Wrong("#/boosts/1/when", "required", nil),
                    Wrong("#/boosts/1/factor", "out_of_range", "0..10"), Wrong("#/boosts/2/factor", "required", nil),
                    Wrong("#/boosts/2/when", "required", nil),
                ]
            ),
            (
                #"{"pins":[{"item_id":"a","position":0},{"item_id":"b","position":2},{"item_id":"b","position":2},{"position":1}]}"#,
                [
                    Wrong("#/pins/0/position", "out_of_range", "1..100"),
                    Wrong("#/pins/2/item_id", "duplicate", "each item once"),
                    Wrong("#/pins/2/position", "duplicate", "each position once"),
                    Wrong("#/pins/3/item_id", "required", nil),
                ]
            ),
            (
                #"{"surface_overrides":{"home":{"pool_size":1,"pins":[{}]},"email":{"weights":{"content":1}}}}"#,
                [
                    Wrong("#/surface_overrides/home/pool_size", "out_of_range", "10..1000"),
                    Wrong("#/surface_overrides/home/pins/0/item_id", "required", nil),
                    Wrong("#/surface_overrides/home/pins/0/position", "required", nil),
                    Wrong("#/surface_overrides/email/weights", "invalid_sum", "weights with a sum of 1"),
                ]
            ),
        ] as [(String, [Wrong])]
    )
    func wrongRules(_ json: String, _ errors: [Wrong]) throws {
        let problem = try #require(throws: Problem.self) { try Self.read(json) }
        #expect(problem.status == .unprocessableContent)
        #expect(problem.errors.map { Wrong($0.pointer, $0.code, $0.allowed) } == errors)
    }

    @Test(
        "names that an override may not have, surfaces that are not the policy's, and terms that are none are unknown"
    )
    func unknownInRules() throws {
        for (json, pointer, allowed) in [
            (
                #"{"surface_overrides":{"home":{"surfaces":["a"]}}}"#, "#/surface_overrides/home/surfaces",
                PolicyDocument.overridable
            ),
            (
                #"{"surface_overrides":{"home":{"on_unverified":"serve"}}}"#, "#/surface_overrides/home/on_unverified",
                PolicyDocument.overridable
            ),
            (#"{"surfaces":["a"],"surface_overrides":{"home":{}}}"#, "#/surface_overrides/home", ["a"]),
            (
                #"{"eligibility":{"colour":["a"]}}"#, "#/eligibility/colour",
                Self.terms.split(separator: "|").map(String.init)
            ),
        ] {
            let problem = try #require(throws: Problem.self) { try Self.read(json) }
            #expect(problem.status == .badRequest)
            let wrong = Wrong(pointer, "unknown_parameter", allowed.joined(separator: "|"))
            #expect(problem.errors.map { Wrong($0.pointer, $0.code, $0.allowed) } == [wrong])
        }
    }

    @Test("the largest rules there may be are taken, stored and read again; one term more is too much")
    func largestRules() throws {
        func terms(_ count: Int) -> String {
            // Operators four deep, and terms that fill them up.
            let leaves = (0..<count - 3).map { #"{"label":{"name":"n\#($0)","any_of":["a","b"]}}"# }.joined(
                separator: ","
            )
            return #"{"all":[{"any":[{"not":{"price":{"min":1}}},\#(leaves.isEmpty ? "" : leaves)]}]}"#
        }
        let most = ItemExpression.maximumTerms
        let json = { (count: Int) in
            #"{"surface_overrides":{"home":{"boosts":[{"factor":2,"when":\#(terms(count - 1))}]}}}"#
        }
        let policy = try Self.read(json(most))
        #expect(try Self.read(String(buffer: JSONWriter.document(policy))) == policy)
        let problem = try #require(throws: Problem.self) { try Self.read(json(most + 1)) }
        #expect(
            problem.errors.map { Wrong($0.pointer, $0.code, $0.allowed) } == [
                Wrong("#/surface_overrides/home/boosts/0/when", "too_large", "at most 64 terms")
            ]
        )
    }

    @Test("no diversity, no fallback and no invalidating event are policies, too, and survive being stored")
    func empty() throws {
        let policy = try Self.read(#"{"diversity":[],"fallback":[],"invalidating_events":[]}"#)
        #expect(policy.maximumPerWindow == 0)
        #expect(policy.fallback.isEmpty)
        #expect(policy.invalidatingEvents.isEmpty)
        #expect(try Self.read(String(buffer: JSONWriter.document(policy))) == policy)
    }

    @Test(
        "both ends of every range are taken",
        arguments: [
            #"{"weights":{"collaborative":1,"content":0,"popularity":0}}"#,
            #"{"weights":{"collaborative":0.3335,"content":0.3335,"popularity":0.3335}}"#,
            #"{"diversity":[{"field":"category","max_per_window":1,"window":1}]}"#,
            #"{"diversity":[{"field":"category","max_per_window":100,"window":100}]}"#,
            #"{"event_weights":{"purchase":100,"hide":-100}}"#, #"{"half_life_days":0.01}"#,
            #"{"half_life_days":36500}"#, #"{"ttl":{"soft_s":1,"hard_s":1}}"#,
            #"{"ttl":{"soft_s":86400,"hard_s":86400}}"#, #"{"ttl":{"jitter_pct":0}}"#, #"{"ttl":{"soft_s":300.0}}"#,
            #"{"pool_size":10}"#, #"{"pool_size":1e3}"#,
            #"{"surfaces":["\#(String(repeating: "x", count: 64))"]}"#,
        ]
    )
    func bounds(_ json: String) throws {
        let policy = try Self.read(json)
        #expect(try Self.read(String(buffer: JSONWriter.document(policy))) == policy)
    }

    static let types = "purchase|rating|like|click|view|dislike|hide|add_to_cart"

    @Test(
        "each field that is wrong is pointed at, with what is allowed",
        arguments: [
            ("[]", [Wrong("#", "invalid", "one object")]),
            (#"{"weights":1}"#, [Wrong("#/weights", "invalid", "one object")]),
            (#"{"weights":{"content":"x"}}"#, [Wrong("#/weights/content", "invalid", "a number from 0..1")]),
            (#"{"weights":{"content":1.01}}"#, [Wrong("#/weights/content", "out_of_range", "0..1")]),
            (#"{"weights":{"popularity":-0.1}}"#, [Wrong("#/weights/popularity", "out_of_range", "0..1")]),
            (#"{"weights":{"collaborative":1e999}}"#, [Wrong("#/weights/collaborative", "out_of_range", "0..1")]),
            (#"{"weights":{"content":0.31}}"#, [Wrong("#/weights", "invalid_sum", "weights with a sum of 1")]),
            (
                #"{"weights":{"collaborative":0,"content":0,"popularity":0}}"#,
                [Wrong("#/weights", "invalid_sum", "weights with a sum of 1")]
            ),
            (#"{"diversity":{}}"#, [Wrong("#/diversity", "invalid", "an array of 0 to 2 rules")]),
            (#"{"diversity":[{},{},{}]}"#, [Wrong("#/diversity", "invalid", "an array of 0 to 2 rules")]),
            (#"{"diversity":[1]}"#, [Wrong("#/diversity/0", "invalid", "one object")]),
            (
                #"{"diversity":[{}]}"#,
                [
                    Wrong("#/diversity/0/field", "required", nil),
                    Wrong("#/diversity/0/max_per_window", "required", nil),
                    Wrong("#/diversity/0/window", "required", nil),
                ]
            ),
            (
                #"{"diversity":[{"field":"brand","max_per_window":0,"window":101}]}"#,
                [
                    Wrong("#/diversity/0/field", "invalid", "category|creator"),
                    Wrong("#/diversity/0/window", "out_of_range", "1..100"),
                    Wrong("#/diversity/0/max_per_window", "out_of_range", "1..10"),
                ]
            ),
            (
                #"{"diversity":[{"field":"category","max_per_window":5,"window":4}]}"#,
                [Wrong("#/diversity/0/max_per_window", "out_of_range", "1..4")]
            ),
            (
                #"{"diversity":[{"field":"category","max_per_window":1.5,"window":"4"}]}"#,
                [
                    Wrong("#/diversity/0/window", "invalid", "an integer from 1..100"),
                    Wrong("#/diversity/0/max_per_window", "invalid", "an integer from 1..10"),
                ]
            ),
            (#"{"frequency_caps":{}}"#, [Wrong("#/frequency_caps", "invalid", "an array of 0 to 8 caps")]),
            (
                #"{"frequency_caps":[{"surface":"shelf","max":0,"per":"59s"},{"max":101,"per":"31d"},{"max":"3","per":1},{},"#
                    + #"{"max":1,"per":"0m","when":{"price":{}}},{"max":1,"per":"-5m"},{"max":1,"per":"999999999d"}]}"#,
                [
                    Wrong("#/frequency_caps/0/surface", "invalid", "home|detail|email|popular|trending|latest"),
                    Wrong("#/frequency_caps/0/max", "out_of_range", "1..100"),
                    Wrong("#/frequency_caps/0/per", "invalid", Self.windows),
                    Wrong("#/frequency_caps/1/max", "out_of_range", "1..100"),
                    Wrong("#/frequency_caps/1/per", "out_of_range", Self.windows),
                    Wrong("#/frequency_caps/2/max", "invalid", "an integer from 1..100"),
                    Wrong("#/frequency_caps/2/per", "invalid", Self.windows),
                    Wrong("#/frequency_caps/3/max", "required", nil),
                    Wrong("#/frequency_caps/3/per", "required", nil),
                    Wrong("#/frequency_caps/4/per", "out_of_range", Self.windows),
                    Wrong("#/frequency_caps/4/when/price", "invalid", "min, max, or both"),
                    Wrong("#/frequency_caps/5/per", "invalid", Self.windows),
                    Wrong("#/frequency_caps/6/per", "invalid", Self.windows),
                ]
            ),
            (
                #"{"frequency_caps":[\#(Array(repeating: #"{"max":1,"per":"1m"}"#, count: 9).joined(separator: ","))]}"#,
                [Wrong("#/frequency_caps", "invalid", "an array of 0 to 8 caps")]
            ),
            (#"{"seen_filter":"yes"}"#, [Wrong("#/seen_filter", "invalid", "true|false")]),
            (#"{"event_weights":[]}"#, [Wrong("#/event_weights", "invalid", "one object")]),
            (#"{"event_weights":{"buy":1}}"#, [Wrong("#/event_weights/buy", "unknown_type", Self.types)]),
            (#"{"event_weights":{"Purchase":1}}"#, [Wrong("#/event_weights/Purchase", "unknown_type", Self.types)]),
            (#"{"event_weights":{"view":100.5}}"#, [Wrong("#/event_weights/view", "out_of_range", "-100..100")]),
            (#"{"event_weights":{"hide":-101}}"#, [Wrong("#/event_weights/hide", "out_of_range", "-100..100")]),
            (
                #"{"event_weights":{"hide":true}}"#,
                [Wrong("#/event_weights/hide", "invalid", "a number from -100..100")]
            ),
            (
                #"{"event_weights":{"purchase":0,"add_to_cart":0,"like":0,"rating":0,"click":0,"view":0}}"#,
                [Wrong("#/event_weights", "invalid", "weights of which one at least is above 0")]
            ),
            (
                #"{"invalidating_events":"purchase"}"#,
                [Wrong("#/invalidating_events", "invalid", "an array of 0 to 8 event types")]
            ),
            (
                #"{"invalidating_events":["purchase","buy",1,"purchase"]}"#,
                [
                    Wrong("#/invalidating_events/1", "unknown_type", Self.types),
                    Wrong("#/invalidating_events/2", "unknown_type", Self.types),
                    Wrong("#/invalidating_events/3", "duplicate", "each of the event types once"),
                ]
            ),
            (#"{"half_life_days":0}"#, [Wrong("#/half_life_days", "out_of_range", "0.01..36500")]),
            (#"{"half_life_days":36501}"#, [Wrong("#/half_life_days", "out_of_range", "0.01..36500")]),
            (#"{"half_life_days":"30"}"#, [Wrong("#/half_life_days", "invalid", "a number from 0.01..36500")]),
            (#"{"ttl":300}"#, [Wrong("#/ttl", "invalid", "one object")]),
            (
                #"{"ttl":{"soft_s":0,"hard_s":86401,"jitter_pct":11}}"#,
                [
                    Wrong("#/ttl/soft_s", "out_of_range", "1..86400"),
                    Wrong("#/ttl/hard_s", "out_of_range", "1..86400"),
                    Wrong("#/ttl/jitter_pct", "out_of_range", "0..10"),
                ]
            ),
            (
                #"{"ttl":{"soft_s":1.5,"hard_s":"x","jitter_pct":-1}}"#,
                [
                    Wrong("#/ttl/soft_s", "invalid", "an integer from 1..86400"),
                    Wrong("#/ttl/hard_s", "invalid", "an integer from 1..86400"),
                    Wrong("#/ttl/jitter_pct", "out_of_range", "0..10"),
                ]
            ),
            (#"{"ttl":{"soft_s":1801}}"#, [Wrong("#/ttl/soft_s", "out_of_range", "at most hard_s, 1800")]),
            (#"{"ttl":{"hard_s":299}}"#, [Wrong("#/ttl/soft_s", "out_of_range", "at most hard_s, 299")]),
            (#"{"ttl":{"active_s":4}}"#, [Wrong("#/ttl/active_s", "out_of_range", "5..86400")]),
            (#"{"ttl":{"active_s":301}}"#, [Wrong("#/ttl/active_s", "out_of_range", "at most soft_s, 300")]),
            (#"{"exploration":1}"#, [Wrong("#/exploration", "invalid", "one object")]),
            (#"{"exploration":{"share":0.51}}"#, [Wrong("#/exploration/share", "out_of_range", "0..0.5")]),
            (
                #"{"exploration":{"max_age_days":0}}"#, [Wrong("#/exploration/max_age_days", "out_of_range", "1..365")]
            ),
            (#"{"pool_size":9}"#, [Wrong("#/pool_size", "out_of_range", "10..1000")]),
            (#"{"pool_size":1001}"#, [Wrong("#/pool_size", "out_of_range", "10..1000")]),
            (#"{"pool_size":1e300}"#, [Wrong("#/pool_size", "out_of_range", "10..1000")]),
            (#"{"pool_size":9223372036854775807}"#, [Wrong("#/pool_size", "out_of_range", "10..1000")]),
            (#"{"pool_size":[]}"#, [Wrong("#/pool_size", "invalid", "an integer from 10..1000")]),
            (#"{"fallback":"popular"}"#, [Wrong("#/fallback", "invalid", "an array of 0 to 4 fallbacks")]),
            (
                #"{"fallback":["popular","newest","popular"]}"#,
                [
                    Wrong("#/fallback/1", "invalid", "stale|precomputed|popular|static"),
                    Wrong("#/fallback/2", "duplicate", "each of the fallbacks once"),
                ]
            ),
            (#"{"static_items":{}}"#, [Wrong("#/static_items", "invalid", "an array of 0 to 1000 item ids")]),
            (
                #"{"static_items":["i1","",7,"a\nb","i1"]}"#,
                [
                    Wrong("#/static_items/1", "invalid", Wrong.identifier),
                    Wrong("#/static_items/2", "invalid", Wrong.identifier),
                    Wrong("#/static_items/3", "invalid", Wrong.identifier),
                    Wrong("#/static_items/4", "duplicate", "each of the item ids once"),
                ]
            ),
            (#"{"on_unverified":"maybe"}"#, [Wrong("#/on_unverified", "invalid", "serve|refuse")]),
            (#"{"on_unverified":true}"#, [Wrong("#/on_unverified", "invalid", "serve|refuse")]),
            (#"{"surfaces":[]}"#, [Wrong("#/surfaces", "invalid", "an array of 1 to 64 names")]),
            (
                #"{"surfaces":["home","","a b","caf\u00e9","home",null]}"#,
                [
                    Wrong("#/surfaces/1", "invalid", PlainName.allowed),
                    Wrong("#/surfaces/2", "invalid", PlainName.allowed),
                    Wrong("#/surfaces/3", "invalid", PlainName.allowed),
                    Wrong("#/surfaces/4", "duplicate", "each of the names once"),
                    Wrong("#/surfaces/5", "invalid", PlainName.allowed),
                ]
            ),
        ] as [(String, [Wrong])]
    )
    func invalid(_ json: String, _ errors: [Wrong]) throws {
        let problem = try #require(throws: Problem.self) { try Self.read(json) }
        #expect(problem.status == .unprocessableContent)
        #expect(problem.code == "invalid_parameter")
        #expect(problem.errors.map { Wrong($0.pointer, $0.code, $0.allowed) } == errors)
    }

    @Test("unknown names are found at every level, together with everything else that is wrong")
    func unknownNames() throws {
        let problem = try #require(throws: Problem.self) {
            try Self.read(
                #"{"weigths":{},"weights":{"colab":1},"ttl":{"soft":1,"hard_s":0},"diversity":[{"by":"x"}],"a/b":1}"#
            )
        }
        #expect(problem.status == .badRequest)
        #expect(problem.code == "unknown_parameter")
        #expect(
            problem.errors.map { Wrong($0.pointer, $0.code, $0.allowed) } == [
                Wrong("#/weigths", "unknown_parameter", PolicyDocument.fields.joined(separator: "|")),
                Wrong("#/a~1b", "unknown_parameter", PolicyDocument.fields.joined(separator: "|")),
                Wrong("#/weights/colab", "unknown_parameter", "collaborative|content|popularity"),
                Wrong("#/diversity/0/by", "unknown_parameter", "field|max_per_window|window"),
                Wrong("#/diversity/0/field", "required", nil),
                Wrong("#/diversity/0/max_per_window", "required", nil),
                Wrong("#/diversity/0/window", "required", nil),
                Wrong("#/ttl/soft", "unknown_parameter", "soft_s|active_s|hard_s|jitter_pct"),
                Wrong("#/ttl/hard_s", "out_of_range", "1..86400"),
            ]
        )
    }

    @Test("every error of a document is said, and not only the first twenty")
    func manyErrors() throws {
        let items = (0..<60).map { _ in "\"\"" }.joined(separator: ",")
        let problem = try #require(throws: Problem.self) { try Self.read(#"{"static_items":[\#(items)]}"#) }
        #expect(problem.errors.count == 60)
    }

    @Test("a stored document that a newer program wrote is unreadable, and says why")
    func newer() throws {
        let stored = StoredPolicy(
            version: "p9",
            document: #"{"weights":{"collaborative":1,"content":0,"popularity":0},"exploration":0.1}"#,
            createdAt: Timestamp(seconds: 0)
        )
        let error = try #require(throws: UnreadablePolicy.self) { try PolicyCodec.json.decode(stored) }
        #expect(error.version == "p9")
        #expect(error.reason.contains("exploration"))
        for document in ["", "{", "null", "[]", #"{"ttl":{"soft_s":"#] {
            #expect(throws: UnreadablePolicy.self) {
                try PolicyCodec.json.decode(
                    StoredPolicy(version: "p9", document: document, createdAt: Timestamp(seconds: 0))
                )
            }
        }
    }
}
