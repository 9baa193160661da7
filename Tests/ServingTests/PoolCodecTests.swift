import RecommendationCore
import Testing

@testable import Serving

@Suite("Pool bytes")
struct PoolCodecTests {
    func randomPool(_ generator: inout SeededGenerator) -> CandidatePool {
        func candidates(_ limit: Int, seeds: Int) -> [CandidatePool.Candidate] {
            (0..<Int.random(in: 0...limit, using: &generator)).map { _ in
                CandidatePool.Candidate(
                    item: .random(in: .min ... .max, using: &generator),
                    collaborative: .random(in: .min ... .max, using: &generator),
                    content: .random(in: .min ... .max, using: &generator),
                    popularity: .random(in: .min ... .max, using: &generator),
                    seed: seeds > 0 ? .random(in: 0..<UInt8(seeds), using: &generator) : CandidatePool.noSeed
                )
            }
        }
        let seeds = Int.random(in: 0...16, using: &generator)
        let tried = Bool.random(using: &generator) ? candidates(20, seeds: seeds) : []
        var facts = CandidatePool.RuleFacts()
        for number in 0..<Int.random(in: 0...3, using: &generator) {
            facts.labels.append(UserLabel(name: "name \(number)", value: Bool.random(using: &generator) ? "" : "välue"))
        }
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            facts.hadPins.append(.random(in: .min ... .max, using: &generator))
            facts.unwantedPins.append(.random(in: .min ... .max, using: &generator))
        }
        return CandidatePool(
            scales: (0..<3).map { _ in
                .init(offset: .random(in: -3...3, using: &generator), step: .random(in: 0...1, using: &generator))
            },
            seeds: (0..<seeds).map { _ in .random(in: .min ... .max, using: &generator) },
            unseen: candidates(200, seeds: seeds),
            seen: candidates(50, seeds: seeds),
            seenLeftOut: .random(in: 0...50, using: &generator),
            isPersonal: .random(using: &generator),
            suppressedCount: .random(in: 0...200, using: &generator),
            suppressions: (0..<Int.random(in: 0...3, using: &generator)).map { number in
                Suppression(
                    kind: Bool.random(using: &generator) ? .category : .creator,
                    key: Identifier(trusted: "key \(number) of \(generator.next())")
                )
            },
            tried: tried,
            triedLot: tried.isEmpty ? 0 : .random(in: .min ... .max, using: &generator),
            facts: Bool.random(using: &generator) ? facts : nil
        )
    }

    @Test("a pool survives its bytes, with the same scores")
    func roundTrip() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let pool = self.randomPool(&generator)
            #expect(PoolCodec.decode(PoolCodec.encode(pool)) == pool)
        }
    }

    @Test("a full pool is about two kilobytes")
    func size() {
        var pool = Fixture.pool(200, seeds: Array(0..<16))
        pool.seen = Array(Fixture.pool(50).unseen)
        #expect(PoolCodec.encode(pool).count == 32 + 16 * 4 + 250 * 8)
    }

    @Test("no bytes crash the decoder: every truncation, 20,000 mutations and noise")
    func fuzz() {
        var generator = SeededGenerator(seed: 2)
        let bytes = PoolCodec.encode(self.randomPool(&generator))
        for length in 0..<bytes.count { #expect(PoolCodec.decode(Array(bytes.prefix(length))) == nil) }
        for _ in 0..<20_000 {
            var mutated = bytes
            mutated[.random(in: 0..<mutated.count, using: &generator)] ^= .random(in: 1...255, using: &generator)
            if let pool = PoolCodec.decode(mutated) {
                // What is accepted can be served: seeds point into the table, scores are numbers.
                for candidate in pool.unseen + pool.seen + pool.tried {
                    #expect(candidate.seed == CandidatePool.noSeed || Int(candidate.seed) < pool.seeds.count)
                    #expect(pool.score(candidate).isFinite)
                }
            }
            let noise = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: .min ... .max, using: &generator)
            }
            _ = PoolCodec.decode(noise)
        }
    }
}
