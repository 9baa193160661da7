import Testing

@testable import Redis

@Suite("The primary by its sentinels")
struct PrimaryStateTests {
    private static let old = RedisAddress(host: "a", port: 1)
    private static let new = RedisAddress(host: "b", port: 2)

    private static func claim(_ address: RedisAddress, _ epoch: UInt64) -> PrimaryElection.Claim {
        PrimaryElection.Claim(address: address, epoch: epoch)
    }

    @Test("is nobody until a sentinel names one, and then the one of the highest configuration, whoever says it")
    func highest() {
        var election = PrimaryElection(sentinels: 3)
        #expect(election.primary == nil && election.problem == .noSentinelAnswers)
        election.answered(0, nil)
        #expect(election.primary == nil && election.problem == .unknownMaster)
        election.answered(1, Self.claim(Self.old, 1))
        #expect(election.primary == Self.old)
        election.answered(0, Self.claim(Self.old, 1))
        election.answered(2, Self.claim(Self.new, 2))
        #expect(election.primary == Self.new)
        // One that was cut off comes late.
        election.answered(1, Self.claim(Self.old, 1))
        #expect(election.primary == Self.new)
    }

    @Test("what a lost sentinel said holds against fewer than half, and not against more")
    func lost() {
        var election = PrimaryElection(sentinels: 3)
        election.answered(0, Self.claim(Self.new, 2))
        election.answered(1, Self.claim(Self.old, 1))
        election.lost(0)
        #expect(election.primary == Self.new)
        election.answered(2, Self.claim(Self.old, 1))
        #expect(election.primary == Self.old)
        for sentinel in 0..<3 { election.lost(sentinel) }
        #expect(election.primary == Self.new, "nobody answers: the highest that was said")
    }

    @Test("without numbers it is the one that most of them name")
    func votes() {
        var election = PrimaryElection(sentinels: 3)
        election.answered(0, Self.claim(Self.old, 0))
        election.answered(1, Self.claim(Self.new, 0))
        election.answered(2, Self.claim(Self.new, 0))
        #expect(election.primary == Self.new)
    }

    private final class Hold {
        let address: RedisAddress
        init(_ address: RedisAddress) { self.address = address }
    }

    /// A state that changes only in calls of its own, which the macros cannot make.
    private final class Subject {
        private var state = PrimaryState<Hold>(sentinels: 1)

        func began() -> Hold? { state.began(Hold.init) }
        func ended(_ hold: Hold) { state.ended(hold) }
        func denied(by hold: Hold) -> [Hold] { state.denied(by: hold) }
        func answered(_ claim: PrimaryElection.Claim) -> [Hold]? { state.answered(0, claim) }
        func lost() -> [Hold]? { state.lost(0) }
    }

    @Test("another primary ends every connection to the one before, and none that is over")
    func moves() throws {
        let subject = Subject()
        #expect(subject.began() === nil)
        #expect(subject.answered(Self.claim(Self.old, 1))?.isEmpty == true)
        let first = try #require(subject.began())
        let second = try #require(subject.began())
        let over = try #require(subject.began())
        #expect(first.address == Self.old)
        subject.ended(over)
        #expect(subject.answered(Self.claim(Self.old, 1))?.count == nil, "nothing has changed")
        #expect(subject.lost()?.count == nil)
        let ended = try #require(subject.answered(Self.claim(Self.new, 2)))
        #expect(Set(ended.map(ObjectIdentifier.init)) == Set([first, second].map(ObjectIdentifier.init)))
        #expect(subject.began()?.address == Self.new)
    }

    @Test("a server that denies ends all connections of its term, once")
    func denial() throws {
        let subject = Subject()
        _ = subject.answered(Self.claim(Self.old, 1))
        let first = try #require(subject.began())
        let second = try #require(subject.began())
        #expect(subject.denied(by: first).count == 2)
        let next = try #require(subject.began())
        #expect(next.address == Self.old, "nobody else is named")
        #expect(subject.denied(by: second).isEmpty, "its term is over")
        #expect(subject.denied(by: next).count == 1)
    }

    @Test("a hold closes its connection once, also when the term ended before the connection was there")
    func hold() {
        let closed = EventLog<String>()
        let hold = PrimaryHold(address: Self.old)
        hold.closes { closed.append("channel \($0)") }
        hold.closes { closed.append("connection \($0)") }
        hold.end(.primaryMoved)
        hold.end(.notPrimary)
        #expect(closed.all == ["connection primaryMoved"] && hold.reason == .primaryMoved)
        hold.closes { closed.append("late \($0)") }
        #expect(closed.all.last == "late primaryMoved")
    }

    @Test("an answer without details counts, and one that is none does not")
    func answers() throws {
        let place = RedisReply.array([.bulk(Array("::1".utf8)), .bulk(Array("6379".utf8))])
        let words = ["name", "m", "config-epoch", "7", "odd"].map { RedisReply.bulk(Array($0.utf8)) }
        let address = RedisAddress(host: "::1", port: 6379)
        #expect(try RedisPrimary.claim(place, details: .array(words)) == Self.claim(address, 7))
        let refusal = RedisReply.error(RedisServerError(code: "NOPERM", message: "no"))
        #expect(try RedisPrimary.claim(place, details: refusal) == Self.claim(address, 0))
        #expect(try RedisPrimary.claim(.null, details: refusal) == nil)
        #expect(throws: RedisError.self) { try RedisPrimary.claim(refusal, details: .array(words)) }
        for wrong in [["h"], ["", "1"], ["h", "0"], ["h", "70000"], ["h", "x"]] {
            let reply = RedisReply.array(wrong.map { .bulk(Array($0.utf8)) })
            #expect(throws: RedisError.self) { try RedisPrimary.claim(reply, details: .null) }
        }
    }
}
