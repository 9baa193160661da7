import Testing

@testable import Training

@Suite("AliasTable")
struct AliasTableTests {
    @Test("an index is drawn by its weight")
    func weights() {
        let weights = [1.0, 0, 3, 0.5, 5.5]
        let table = AliasTable(weights)
        var generator = SplitMix64(seed: 1, stream: 1)
        var counts = [Int](repeating: 0, count: weights.count)
        for _ in 0..<100_000 { counts[table.draw(using: &generator)] += 1 }
        for (count, weight) in zip(counts, weights) { #expect(abs(Double(count) / 10_000 - weight) < 0.1) }
    }

    @Test("weight zero is never drawn, however the others round", arguments: [3, 10, 99, 1_000])
    func zero(count: Int) {
        // One share in the first, by thirds and tenths that no binary fraction hits.
        let weights = (0..<count).map { $0 == 0 ? 0.1 : $0 % 3 == 0 ? 0.7 / 3 : 0 }
        let table = AliasTable(weights)
        var generator = SplitMix64(seed: UInt64(count), stream: 1)
        for _ in 0..<20_000 {
            let index = table.draw(using: &generator)
            #expect(weights[index] > 0)
        }
    }

    @Test("SplitMix64 gives the numbers of its paper's reference")
    func reference() {
        var generator = SplitMix64(state: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
    }
}
