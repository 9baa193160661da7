import RecommendationCore
import RecommendationEngine
import Testing

@Suite struct ScorerPropertyTests {
    private struct Trial {
        let reference: ReferenceScorer
        let pool: CandidatePool
    }

    private func trial(_ seed: Int) throws -> Trial {
        var generator = SeededGenerator(UInt64(1_000 + seed))
        let items = Int.random(in: 1...300, using: &generator)
        let rows = randomRows(Int.random(in: 1...2_500, using: &generator), users: 60, items: items, using: &generator)
        let categories = randomCategories(items, kinds: 10, using: &generator)
        // Weights above 1, and below 0, too; a regression of many items takes long without optimisation.
        let recipe: Recipe = seed % 3 == 0 ? .cosine : seed % 3 == 1 || items > 64 ? .standard : .ease(lambda: 20)
        let snapshot = try fit(rows, items: items, categories: categories, recipe: recipe)
        let history = randomHistory(Int.random(in: 0...120, using: &generator), items: items, using: &generator)
        var policy = Policy.builtIn
        policy.weights = Policy.Weights(
            collaborative: Float.random(in: 0...1, using: &generator),
            content: Float.random(in: 0...1, using: &generator),
            popularity: Float.random(in: 0.1...1, using: &generator)
        )
        policy.poolSize = Int.random(in: 0...100, using: &generator)
        let excluded = Set((0..<Item.Number(items)).filter { _ in Int.random(in: 0..<5, using: &generator) == 0 })
        return Trial(
            reference: ReferenceScorer(history: history, snapshot: snapshot, policy: policy, excluded: excluded),
            pool: Scorer().pool(
                history: history,
                snapshot: snapshot,
                policy: policy,
                excluded: bitmap(excluded, count: items),
                keepsSeen: true
            )
        )
    }

    @Test("a pool holds the items and components that a scan of the catalogue would give", arguments: 0..<120)
    func bruteForce(seed: Int) throws {
        let trial = try self.trial(seed)
        let expected = trial.reference.pool()
        #expect(trial.pool.isPersonal == trial.reference.isPersonal)
        for (found, wanted) in [(trial.pool.unseen, expected.unseen), (trial.pool.seen, expected.seen)] {
            #expect(Set(found.map(\.item)) == Set(wanted.map(\.item)))
            #expect(found.count == wanted.count)
            let byItem = Dictionary(uniqueKeysWithValues: wanted.map { ($0.item, $0) })
            for candidate in found {
                let exact = try #require(byItem[candidate.item])
                let components = trial.pool.components(candidate)
                let pairs = [
                    (components.collaborative, exact.collaborative), (components.content, exact.content),
                    (components.popularity, exact.popularity),
                ]
                for (component, (dequantised, value)) in pairs.enumerated() {
                    let tolerance = trial.pool.scales[component].step * 0.501 + 1e-5
                    #expect(abs(dequantised - value) <= tolerance)
                }
            }
        }
    }

    @Test("each list is in the order of the scores the pool itself gives, ties by number", arguments: 0..<40)
    func order(seed: Int) throws {
        let pool = try self.trial(seed).pool
        for list in [pool.unseen, pool.seen] {
            for (better, worse) in zip(list, list.dropFirst()) {
                let (left, right) = (pool.score(better), pool.score(worse))
                #expect(left > right || (left == right && better.item < worse.item))
            }
        }
    }

    @Test("a seed is the history item that added most to the largest component", arguments: 0..<60)
    func seeds(seed: Int) throws {
        let trial = try self.trial(seed)
        let (pool, reference) = (trial.pool, trial.reference)
        #expect(pool.seeds.count <= CandidatePool.maximumSeeds)
        #expect(Set(pool.seeds).count == pool.seeds.count)
        let explaining = reference.weights.filter { $0.weight > 0 && !reference.banned.contains($0.item) }
        for candidate in pool.unseen + pool.seen {
            let components = pool.components(candidate)
            let largest: Component =
                components.collaborative >= max(components.content, components.popularity)
                ? .collaborative : components.content >= components.popularity ? .content : .popularity
            guard candidate.seed != CandidatePool.noSeed else {
                let isFull = pool.seeds.count == CandidatePool.maximumSeeds
                let value = largest == .collaborative ? components.collaborative : components.content
                let isExplained = explaining.contains {
                    reference.contribution(of: $0.item, to: candidate.item, largest) > 0
                }
                #expect(isFull || largest == .popularity || value <= 0 || !isExplained || !pool.isPersonal)
                continue
            }
            #expect(largest != .popularity)
            let most = explaining.map { reference.contribution(of: $0.item, to: candidate.item, largest) }.max()
            let named = reference.contribution(of: pool.seeds[Int(candidate.seed)], to: candidate.item, largest)
            #expect(named == most)
        }
    }
}
