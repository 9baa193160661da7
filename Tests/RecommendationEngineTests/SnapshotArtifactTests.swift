import RecommendationCore
import Testing

@testable import RecommendationEngine

@Suite struct SnapshotArtifactTests {
    private static let small: [UInt8] = {
        let snapshot = Snapshot(
            counts: Snapshot.Counts(interactions: 5, users: 3, items: 3),
            newestEvent: someTime,
            builtAt: someTime,
            collaborative: NeighbourGraph(
                offsets: [0, 2, 3, 4],
                ids: [1, 2, 0, 0],
                weights: [0.75, 0.5, 0.75, 0.5].map(HalfFloat.encode)
            ),
            content: ContentGraph(
                groupOfItem: [0, 0, ContentGraph.noGroup],
                lists: NeighbourGraph(offsets: [0, 2], ids: [1, 0], weights: [1, 1].map(HalfFloat.encode))
            ),
            popularity: [0.5, 1, 0],
            popularityOrder: [1, 0, 2],
            trending: NeighbourGraph(
                offsets: [0, 1, 2, 4],
                ids: [1, 1, 0, 1],
                weights: [1, 1, 1, 0.5].map(HalfFloat.encode)
            )
        )
        return SnapshotArtifact(snapshot).encode()
    }()

    private func random(_ seed: UInt64) throws -> Snapshot {
        var generator = SeededGenerator(seed)
        let rows = randomRows(2_000, users: 50, items: 150, using: &generator)
        return try fit(rows, items: 150, categories: randomCategories(150, kinds: 9, using: &generator))
    }

    private func restamped(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let checksum = SnapshotArtifact.checksum(of: bytes)
        for index in 0..<8 { bytes[24 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt64(index))) }
        return bytes
    }

    @Test("a snapshot comes back as it was", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(seed: UInt64) throws {
        let snapshot = try self.random(seed)
        let decoded = try SnapshotArtifact(decoding: SnapshotArtifact(snapshot).encode()).snapshot
        #expect(decoded.collaborative == snapshot.collaborative)
        #expect(decoded.content == snapshot.content)
        #expect(decoded.popularity == snapshot.popularity)
        #expect(decoded.popularityOrder == snapshot.popularityOrder)
        #expect(decoded.counts == snapshot.counts)
        #expect(decoded.newestEvent == snapshot.newestEvent)
        #expect(decoded.builtAt == snapshot.builtAt)
        #expect(decoded.trending == snapshot.trending)
        #expect(!decoded.trending(in: .week).isEmpty)
    }

    /// The bytes as format 1 had them: without the trending sections.
    private func formatOne(_ snapshot: Snapshot) -> [UInt8] {
        let bytes = SnapshotArtifact(snapshot).encode()
        func word(_ offset: Int) -> Int { (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }
        let lengths = (0..<9).map { word(80 + 8 * $0) }
        let body = lengths.reduce(0) { $0 + SnapshotArtifact.padded($1) }
        var old = Array(bytes[..<152]) + bytes[176..<176 + body]
        old[8] = 1
        old[12] = 9
        for index in 0..<8 { old[16 + index] = UInt8(truncatingIfNeeded: old.count >> (8 * index)) }
        return self.restamped(old)
    }

    @Test("an artifact of the format before is read, as a model in which nothing trends")
    func formatBefore() throws {
        let snapshot = try self.random(4)
        let decoded = try SnapshotArtifact(decoding: self.formatOne(snapshot)).snapshot
        #expect(decoded.collaborative == snapshot.collaborative)
        #expect(decoded.popularityOrder == snapshot.popularityOrder)
        for window in TrendWindow.allCases { #expect(decoded.trending(in: window).isEmpty) }
        var mixed = self.formatOne(snapshot)
        mixed[8] = 2
        #expect(throws: ArtifactError.inconsistent("another number of sections")) {
            try SnapshotArtifact(decoding: self.restamped(mixed))
        }
    }

    @Test("trends that repeat an item, ascend, or are of other windows are refused")
    func inconsistentTrends() {
        let half = HalfFloat.encode(0.5)
        let one = HalfFloat.encode(1)
        for (offsets, ids, weights) in [
            ([0, 2, 2, 2], [0, 0], [half, half]), ([0, 2, 2, 2], [0, 1], [half, one]),
            ([0, 2, 2, 2], [1, 0], [one, one]),
            ([0, 1, 1], [0], [one]), ([0, 1, 1, 1], [2], [one]),
        ] as [([UInt32], [UInt32], [UInt16])] {
            let snapshot = Snapshot(
                counts: Snapshot.Counts(interactions: 0, users: 0, items: 0),
                newestEvent: nil,
                builtAt: someTime,
                collaborative: .empty(rowCount: 2),
                content: ContentGraph(
                    groupOfItem: [ContentGraph.noGroup, ContentGraph.noGroup],
                    lists: .empty(rowCount: 0)
                ),
                popularity: [1, 0],
                popularityOrder: [0, 1],
                trending: NeighbourGraph(offsets: offsets, ids: ids, weights: weights)
            )
            let error = #expect(throws: ArtifactError.self) {
                try SnapshotArtifact(decoding: SnapshotArtifact(snapshot).encode())
            }
            guard case .inconsistent = error else {
                Issue.record("not inconsistent: \(String(describing: error))")
                continue
            }
        }
    }

    @Test("an empty snapshot comes back without a newest event")
    func emptyRoundTrip() throws {
        let decoded = try SnapshotArtifact(decoding: SnapshotArtifact(.empty(builtAt: someTime)).encode()).snapshot
        #expect(decoded.itemCount == 0)
        #expect(decoded.newestEvent == nil)
    }

    @Test("the layout is the documented one")
    func layout() {
        let bytes = Self.small
        #expect(bytes.prefix(8).elementsEqual("VIREOSNP".utf8))
        #expect(bytes[8..<16].elementsEqual([3, 0, 0, 0, 12, 0, 0, 0]))
        #expect(bytes[16..<24].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) } == bytes.count)
        #expect(bytes[32..<40].elementsEqual([3, 0, 0, 0, 0, 0, 0, 0]))
        #expect(bytes.count % 8 == 0)
    }

    @Test("other bytes, later versions, missing, surplus and changed bytes are told apart")
    func errors() {
        #expect(throws: ArtifactError.wrongMagic) { try SnapshotArtifact(decoding: Array("{\"a\": 1}".utf8)) }
        #expect(throws: ArtifactError.truncated(expected: 32, found: 0)) { try SnapshotArtifact(decoding: []) }
        var later = Self.small
        later[8] = 4
        #expect(throws: ArtifactError.unsupportedVersion(4)) { try SnapshotArtifact(decoding: later) }
        let count = Self.small.count
        #expect(throws: ArtifactError.truncated(expected: count, found: count - 1)) {
            try SnapshotArtifact(decoding: Self.small.dropLast())
        }
        #expect(throws: ArtifactError.trailingBytes(1)) { try SnapshotArtifact(decoding: Self.small + [0]) }
        var changed = Self.small
        changed[count - 1] ^= 1
        #expect(
            throws: ArtifactError.checksumMismatch(
                stored: SnapshotArtifact.checksum(of: Self.small),
                computed: SnapshotArtifact.checksum(of: changed)
            )
        ) { try SnapshotArtifact(decoding: changed) }
    }

    @Test("what scoring could not stand is refused even with a right checksum")
    func inconsistent() {
        func expectInconsistent(_ graph: NeighbourGraph, groups: [UInt32], popularity: [Float], order: [UInt32]) {
            // Made by hand, as the builder would not: the content graph stays one that can be constructed.
            let snapshot = Snapshot(
                counts: Snapshot.Counts(interactions: 0, users: 0, items: 0),
                newestEvent: nil,
                builtAt: someTime,
                collaborative: graph,
                content: ContentGraph(groupOfItem: groups, lists: .empty(rowCount: 1)),
                popularity: popularity,
                popularityOrder: order
            )
            let error = #expect(throws: ArtifactError.self) {
                try SnapshotArtifact(decoding: SnapshotArtifact(snapshot).encode())
            }
            guard case .inconsistent = error else {
                Issue.record("not inconsistent: \(String(describing: error))")
                return
            }
        }
        let none = NeighbourGraph.empty(rowCount: 2)
        let half = HalfFloat.encode(0.5)
        func graph(_ offsets: [UInt32], _ ids: [UInt32], _ weights: [UInt16]) -> NeighbourGraph {
            NeighbourGraph(offsets: offsets, ids: ids, weights: weights)
        }
        let noGroups = [ContentGraph.noGroup, ContentGraph.noGroup]
        for broken in [
            graph([0, 2, 1], [1], [half]), graph([1, 1, 1], [1], [half]), graph([0, 0, 2], [1], [half]),
            graph([0, 1, 1], [2], [half]), graph([0, 1, 1], [1], []), graph([0, 1, 1], [1], [0x7C00]),
            graph([0, 1, 1], [1], [0x7E00]), graph([0, 1, 1], [1], [0xFC00]), graph([0, 0], [], []), graph([], [], []),
        ] {
            expectInconsistent(broken, groups: noGroups, popularity: [1, 0], order: [0, 1])
        }
        expectInconsistent(none, groups: [1, 0], popularity: [1, 0], order: [0, 1])
        expectInconsistent(none, groups: [0], popularity: [1, 0], order: [0, 1])
        expectInconsistent(none, groups: noGroups, popularity: [.nan, 0], order: [0, 1])
        expectInconsistent(none, groups: noGroups, popularity: [2, 0], order: [0, 1])
        expectInconsistent(none, groups: noGroups, popularity: [1, 0], order: [1, 0])
        expectInconsistent(none, groups: noGroups, popularity: [1, 0], order: [0, 0])
        expectInconsistent(none, groups: noGroups, popularity: [1, 0], order: [0, 2])
        expectInconsistent(none, groups: noGroups, popularity: [1, 0], order: [0])
    }

    @Test("every truncation is refused as one")
    func truncations() {
        for length in 0..<Self.small.count {
            let error = #expect(throws: ArtifactError.self) {
                try SnapshotArtifact(decoding: Array(Self.small.prefix(length)))
            }
            guard case .truncated = error else {
                Issue.record("\(length): \(String(describing: error))")
                continue
            }
        }
    }

    @Test("20,000 mutations are all refused")
    func mutations() {
        var generator = SeededGenerator(5)
        for _ in 0..<20_000 {
            var bytes = Self.small
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            guard bytes != Self.small else { continue }
            #expect(throws: ArtifactError.self) { try SnapshotArtifact(decoding: bytes) }
        }
    }

    @Test("mutations with a right checksum are refused, or can be scored with")
    func restampedMutations() {
        var generator = SeededGenerator(6)
        let scorer = Scorer()
        var accepted = 0
        var refused = 0
        for _ in 0..<5_000 {
            var bytes = Self.small
            let index = Int.random(in: 32..<bytes.count, using: &generator)
            bytes[index] = Bool.random(using: &generator) ? UInt8.random(in: 0...4, using: &generator) : .max
            do throws(ArtifactError) {
                let snapshot = try SnapshotArtifact(decoding: self.restamped(bytes)).snapshot
                let history = [event(0, .purchase), event(1, .click), event(2, .dislike)]
                let pool = scorer.pool(
                    history: history,
                    snapshot: snapshot,
                    policy: .builtIn,
                    excluded: [],
                    keepsSeen: true
                )
                #expect(pool.unseen.count + pool.seen.count <= snapshot.itemCount)
                accepted += 1
            } catch {
                refused += 1
            }
        }
        #expect(accepted > 100)
        #expect(refused > 100)
    }
}

@Suite struct ChecksumTests {
    @Test(
        "XXH64 of known texts",
        arguments: [
            ("", 0xEF46_DB37_51D8_E999), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
            ("The quick brown fox jumps over the lazy dog", 0x0B24_2D36_1FDA_71BC),
        ] as [(String, UInt64)]
    )
    func knownAnswers(text: String, hash: UInt64) {
        #expect(Array(text.utf8).withUnsafeBytes(Checksum.xxh64) == hash)
    }
}

@Suite struct HalfFloatTests {
    @Test("every finite pattern is decoded as Float16 does, and encoded back, of either sign")
    func allPatterns() {
        for magnitude in 0...HalfFloat.largest {
            for bits in [magnitude, magnitude | 0x8000] {
                let value = Float(Float16(bitPattern: bits))
                // There is one zero.
                let back = magnitude == 0 ? 0 : bits
                if HalfFloat.decode(bits) != value || HalfFloat.encode(value) != back { Issue.record("\(bits)") }
                if HalfFloat.pattern(order: HalfFloat.order(bits)) != bits { Issue.record("order of \(bits)") }
            }
        }
    }

    @Test("what lies between patterns is rounded as Float16 rounds it")
    func rounding() {
        for magnitude in 0..<HalfFloat.largest {
            let (low, high) = (Float(Float16(bitPattern: magnitude)), Float(Float16(bitPattern: magnitude + 1)))
            let middle = (low + high) / 2
            for value in [middle, middle.nextUp, middle.nextDown] {
                if HalfFloat.encode(value) != Float16(value).bitPattern { Issue.record("\(value)") }
                if value > 0x1p-25, HalfFloat.encode(-value) != Float16(-value).bitPattern { Issue.record("-\(value)") }
            }
        }
    }

    @Test("orders are those of the numbers")
    func order() {
        let values: [Float] = [-65_504, -2, -1, -0x1p-24, 0, 0x1p-24, 0x1p-14, 1, 1.5, 65_504]
        for (lower, higher) in zip(values, values.dropFirst()) {
            #expect(HalfFloat.order(HalfFloat.encode(lower)) < HalfFloat.order(HalfFloat.encode(higher)))
        }
    }

    @Test("what is no weight becomes 0 or the largest of its sign")
    func clamped() {
        #expect(HalfFloat.encode(.nan) == 0)
        #expect(HalfFloat.encode(-.nan) == 0)
        #expect(HalfFloat.encode(.infinity) == HalfFloat.largest)
        #expect(HalfFloat.encode(-.infinity) == HalfFloat.largest | 0x8000)
        #expect(HalfFloat.encode(65_520) == HalfFloat.largest)
        #expect(HalfFloat.encode(65_519) == HalfFloat.largest)
        #expect(HalfFloat.encode(-0x1p-26) == 0)
    }
}

@Suite struct TopKeysTests {
    @Test("keys order by score, ties by number, and give both back")
    func keys() {
        let scores: [Float] = [-.infinity, -2, -1e-30, 0, 1e-30, 0.5, 3, .infinity]
        for (lower, higher) in zip(scores, scores.dropFirst()) {
            #expect(RankKey.make(lower, 0) < RankKey.make(higher, .max))
        }
        #expect(RankKey.make(1, 3) > RankKey.make(1, 4))
        #expect(RankKey.make(-0.0, 1) == RankKey.make(0, 1))
        for score in scores {
            #expect(RankKey.score(RankKey.make(score, 77)) == score)
            #expect(RankKey.number(RankKey.make(score, 77)) == 77)
        }
    }

    @Test("the largest of a stream are kept", arguments: [0, 1, 2, 7, 100, 1_000])
    func largest(capacity: Int) {
        var generator = SeededGenerator(3)
        let keys = (0..<500).map { _ in UInt64.random(in: 1...10_000, using: &generator) }
        var top = TopKeys()
        for _ in 0..<2 {
            top.reset(capacity: capacity)
            for key in keys { top.insert(key) }
            top.sortDescending()
            #expect(top.keys == Array(keys.sorted(by: >).prefix(capacity)))
        }
    }
}
