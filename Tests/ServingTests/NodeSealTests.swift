import RecommendationCore
import Synchronization
import Testing

@testable import Serving

@Suite("Seals of nodes")
struct NodeSealTests {
    private let time = Time()
    private var seal: NodeSeal { NodeSeal(Fixture.keys, wallClock: { [time] in time.now }) }
    private let body = Array(#"{"questions":[]}"#.utf8)

    private final class Time: Sendable {
        private let milliseconds = Mutex<Int64>(1_780_000_000_000)
        var now: Timestamp { Timestamp(microseconds: self.milliseconds.withLock { $0 } * 1_000) }
        func advance(by change: Int64) { self.milliseconds.withLock { $0 += change } }
    }

    @Test("a seal opens the message it was made for, at the node it was made for, and none other")
    func bound() {
        let text = self.seal.seal(self.body, to: "n2")
        #expect(self.seal.isSealed(self.body, to: "n2", by: text))
        #expect(!self.seal.isSealed(self.body, to: "n1", by: text))
        #expect(!self.seal.isSealed(self.body + [0x20], to: "n2", by: text))
        #expect(!self.seal.isSealed([], to: "n2", by: text))
        let other = try! SigningKeys(parsing: SigningKeys.generate(id: "k1"))
        let stranger = NodeSeal(other, wallClock: { [time] in time.now })
        #expect(!stranger.isSealed(self.body, to: "n2", by: text))
    }

    @Test(
        "it is good for half a minute, before and after",
        arguments: [(30_000, true), (30_001, false), (-30_000, true), (-30_001, false)]
    )
    func window(milliseconds: Int64, isGood: Bool) {
        let text = self.seal.seal(self.body, to: "n2")
        self.time.advance(by: milliseconds)
        #expect(self.seal.isSealed(self.body, to: "n2", by: text) == isGood)
    }

    @Test("every change of a character voids it, and text of other forms is none")
    func mutations() {
        let text = Array(self.seal.seal(self.body, to: "n2"))
        for index in text.indices {
            for other in ["A", "B", "_", ".", "é", "0", "9"] as [Character] where other != text[index] {
                var changed = text
                changed[index] = other
                #expect(!self.seal.isSealed(self.body, to: "n2", by: String(changed)), "\(index) \(other)")
            }
        }
        for text in ["", "v1", "v1.k1..", "v1.k1.9223372036854775807.AAAA", "v1.k1.-9223372036854775808.AAAA", "...."] {
            #expect(!self.seal.isSealed(self.body, to: "n2", by: text))
        }
    }

    @Test("a key that signs no more still opens")
    func rotation() throws {
        let (old, new) = (SigningKeys.generate(id: "k1"), SigningKeys.generate(id: "k2"))
        let text = NodeSeal(try SigningKeys(parsing: old), wallClock: { [time] in time.now }).seal(self.body, to: "n2")
        let rotated = NodeSeal(try SigningKeys(parsing: "\(new),\(old)"), wallClock: { [time] in time.now })
        #expect(rotated.isSealed(self.body, to: "n2", by: text))
        #expect(rotated.seal(self.body, to: "n2").hasPrefix("v1.k2."))
    }
}
