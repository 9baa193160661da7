import RecommendationCore
import Testing

@testable import HTTPAPI
@testable import Serving

@Suite("Decision route")
struct DecisionRouteTests {
    private static let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    @Test("the stored document comes with what it gives again; another tenant's, or what is not recorded, is not there")
    func whole() async throws {
        let canned = Canned()
        var useCases = canned.useCases
        useCases.decision = { id, tenant async throws(ServingError) in
            guard id.string == Self.id, tenant == .default else { return nil }
            return ReplayedDecision(
                document: #"{"recommendation_id":"\#(id.string)","title":"caf\u00e9"}"#,
                order: [Decision.Place(item: Item.ID(trusted: "i\"1"), score: 0.25)],
                matches: false
            )
        }
        try await withServers(useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/decisions/\(Self.id)")
            #expect(reply.status == 200)
            #expect(
                reply.text == #"{"recommendation_id":"\#(Self.id)","title":"caf\u00e9","#
                    + #""replay":{"matches":false,"order":[{"item_id":"i\"1","score":0.25}]}}"#
            )
            let other = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
            try await request(ports.public, "GET", "/v1/decisions/\(other)").expectProblem(404, "not_found")
        }
    }

    @Test("what is no id is pointed at")
    func invalid() async throws {
        try await withServers { ports in
            for id in ["1", "01ARZ3NDEKTSV4RRFFQ69G5FAVX", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav"] {
                try await request(ports.public, "GET", "/v1/decisions/\(id)").expectProblem(
                    422,
                    "invalid_parameter",
                    [
                        Wrong(
                            "#/recommendation_id",
                            "invalid",
                            "the recommendation_id of an answer, 26 characters"
                        )
                    ]
                )
            }
        }
    }

    private struct Unreadable: Error {}

    /// SplitMix64.
    private struct Numbers: RandomNumberGenerator {
        private var state: UInt64 = 7

        mutating func next() -> UInt64 {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var z = self.state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    /// A decision in which every member is there.
    private static var decision: Decision {
        var first = Decision.Candidate(
            item: Item.ID(trusted: "caf\u{E9}\"/{"),
            standing: .scored,
            score: 0.1,
            collaborative: 1e-7,
            content: 0.30000001,
            popularity: 3
        )
        first.factor = 1.5
        first.category = ItemCategory.ID(trusted: "c\"1")
        first.creator = "creator \u{1F600}"
        first.features = [0, 1 << 33]
        first.seed = Item.ID(trusted: "i3")
        var (second, third, fourth) = (first, first, first)
        second.standing = .tried(number: 2)
        third.standing = .pinned(place: 0)
        (third.category, third.creator, third.seed, third.features) = (nil, nil, nil, [])
        fourth.removedBy = .frequencyCap
        return Decision(
            rules: Decision.Rules(
                limit: 10,
                categoryCap: Policy.DiversityCap(maximum: 0, window: 10),
                creatorCap: nil,
                marginalRelevance: 0.7,
                isBoosted: true,
                tried: 3,
                excludesSeen: false
            ),
            earlier: [Decision.Earlier(category: ItemCategory.ID(trusted: "c"), creator: nil)],
            candidates: [first, second, third, fourth],
            order: [Decision.Place(item: Item.ID(trusted: "i1"), score: 0.2)]
        )
    }

    private static func document(_ decision: Decision) -> String {
        var answer = Recommendation.full
        answer.items = []
        let record = DecisionRecord(list: .own, answer: answer, epoch: 7, filters: .none, decision: decision)
        return DecisionCodec.json.encode(record)
    }

    @Test("a decision comes back from its document as it was; what is cut off or lacks a member is none")
    func document() throws {
        let document = Self.document(Self.decision)
        #expect(DecisionCodec.json.decode(document) == Self.decision)
        for count in stride(from: 0, to: document.utf8.count, by: 7) {
            #expect(DecisionCodec.json.decode(String(decoding: document.utf8.prefix(count), as: UTF8.self)) == nil)
        }
        for member in ["rules", "earlier", "candidates", "order", "limit", "boosted", "score", "standing", "factor"] {
            let changed = document.replacing("\"\(member)\":", with: "\"other_\(member)\":")
            #expect(changed != document && DecisionCodec.json.decode(changed) == nil, "\(member)")
        }
        #expect(
            DecisionCodec.json.decode(document.replacing(#""frequency_cap","score""#, with: #""else","score""#)) == nil
        )
    }

    @Test("scores come back from their text as they were")
    func scores() throws {
        var random = Numbers()
        for _ in 0..<2_000 {
            let scores = (0..<50).map { _ in
                Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
            }.filter { $0.isFinite }
            var json = JSONWriter(capacity: 1_024)
            json.list(scores) { json, score in json.number(score) }
            guard case .array(let values) = try JSONReader.read(Array(json.bytes)) else { throw Unreadable() }
            let read = values.map { value -> Float? in
                switch value {
                case .integer(let integer): Float(integer)
                case .number(let number): Float(number)
                default: nil
                }
            }
            #expect(read == scores.map(Optional.some))
        }
    }
}
