import Testing

@testable import Training

@Suite("ChunkPacing")
struct ChunkPacingTests {
    @Test("the size settles where a chunk takes half a second", arguments: [2_000.0, 10_000, 60_000, 150_000])
    func settles(rowsPerSecond: Double) {
        var pacing = ChunkPacing()
        for _ in 0..<20 { pacing.stored(rows: pacing.size, in: .seconds(Double(pacing.size) / rowsPerSecond)) }
        #expect(abs(Double(pacing.size) / rowsPerSecond - 0.5) < 0.01)
    }

    @Test("the size stays in its bounds", arguments: [(1.0, 500), (1e9, 100_000)])
    func bounds(rowsPerSecond: Double, expected: Int) {
        var pacing = ChunkPacing()
        for _ in 0..<20 { pacing.stored(rows: pacing.size, in: .seconds(Double(pacing.size) / rowsPerSecond)) }
        #expect(pacing.size == expected)
    }

    @Test("a quick chunk doubles the size at most")
    func growth() {
        var pacing = ChunkPacing()
        pacing.stored(rows: 5_000, in: .zero)
        #expect(pacing.size == 10_000)
    }

    @Test("a slow chunk shrinks the size at once")
    func shrinks() {
        var pacing = ChunkPacing()
        pacing.stored(rows: 5_000, in: .seconds(2))
        #expect(pacing.size == 1_250)
    }

    @Test("a short last chunk does not change the size")
    func short() {
        var pacing = ChunkPacing()
        pacing.stored(rows: 10, in: .milliseconds(20))
        #expect(pacing.size == 5_000)
    }
}
