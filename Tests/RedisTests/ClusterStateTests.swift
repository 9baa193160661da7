import Testing

@testable import Redis

@Suite("A cluster as its nodes tell it")
struct ClusterStateTests {
    @Test(
        "slots are those of the specification, and a tag decides",
        arguments: [
            ("123456789", 12_739), ("", 0), ("foo", 12_182), ("bar", 5_061), ("{foo}.a", 12_182),
            ("a{foo}{bar}", 12_182),
            ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015), ("{foo", 13_308),
        ]
    )
    func slots(key: String, slot: Int) {
        #expect(HashSlot(of: Array(key.utf8)).number == slot)
    }

    @Test("every primary has a tag that falls into its slots, one with a single slot too")
    func tags() throws {
        #expect(HashSlot(HashSlot.count) == nil && HashSlot(-1) == nil)
        let topology = ClusterTopology([
            ClusterView(owners: [
                Self.owner(1, 1, 0...8_191), Self.owner(2, 2, 8_192...16_383), Self.owner(3, 3, 77...77),
            ])
        ])
        #expect(topology.primaries.count == 3)
        for primary in topology.primaries {
            let tag = try #require(topology.tag(of: primary))
            #expect(topology.primary(of: HashSlot(of: "vireo:x:{\(tag)}".utf8)) == primary)
        }
        #expect(topology.tag(of: RedisAddress(host: "h", port: 9)) == nil)
    }

    private static let asked = RedisAddress(host: "10.0.0.1", port: 7_000)

    @Test("an answer tells who has which slots, what is being moved stays, and who may be asked")
    func view() throws {
        let text = """
            a1 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 [5460->-b1]
            b1 10.0.0.2:7000@17000,b.example master - 0 0 2 connected 5461-10922 16383
            c1 10.0.0.3:7000@17000 master,fail - 0 0 3 connected
            d1 10.0.0.4:7000@17000 slave c1 0 0 3 connected
            e1 :0@0 master,noaddr - 0 0 4 disconnected 10923-16382
            f1 ::1:7001@17001 master - 0 0 5 connected 10923-16382

            """
        let view = try ClusterView(text, from: Self.asked)
        #expect(view.owners.map(\.address.description) == ["10.0.0.1:7000", "10.0.0.2:7000", "[::1]:7001"])
        #expect(view.owners[0].slots == [0...5_460] && view.owners[1].slots == [5_461...10_922, 16_383...16_383])
        #expect(view.members.count == 4)
        let named = try ClusterView(text, from: Self.asked, byName: true)
        #expect(named.owners[1].address.host == "b.example" && named.owners[0].address.host == "10.0.0.1")
        let lonely = try ClusterView("a1 :7000@17000 myself,master - 0 0 0 connected 1", from: Self.asked)
        #expect(lonely.owners[0].address == Self.asked)
    }

    @Test(
        "what is no answer is refused",
        arguments: [
            "a b", "a1 10.0.0.1:7000@1 master - 0 0 x connected", "a1 10.0.0.1@1 master - 0 0 1 connected 1",
            "a1 h:70000@1 master - 0 0 1 connected 1", "a1 h:1@1 master - 0 0 1 connected 1-99999",
            "a1 h:1@1 master - 0 0 1 connected 2-1", "a1 h:1@1 master - 0 0 1 connected 1-2-3",
        ]
    )
    func garbage(_ text: String) {
        #expect(throws: RedisError.self) { try ClusterView(text, from: Self.asked) }
    }

    private static func owner(_ port: Int, _ epoch: UInt64, _ slots: ClosedRange<Int>) -> ClusterView.Owner {
        ClusterView.Owner(address: RedisAddress(host: "h", port: port), epoch: epoch, slots: [slots])
    }

    @Test("of two claims to a slot the one of the higher epoch holds, whoever tells it")
    func merged() throws {
        let old = ClusterView(owners: [Self.owner(1, 1, 0...8_191), Self.owner(2, 2, 8_192...16_383)])
        let new = ClusterView(owners: [Self.owner(3, 4, 0...8_191), Self.owner(2, 2, 8_192...16_383)])
        for views in [[old, new], [new, old]] {
            let topology = ClusterTopology(views)
            #expect(topology.isComplete && topology.primaries.map(\.port) == [2, 3])
            #expect(topology.primary(of: try #require(HashSlot(8_191)))?.port == 3)
        }
        #expect(!ClusterTopology([ClusterView(owners: [Self.owner(1, 1, 1...16_383)])]).isComplete)
    }

    // MARK: Sessions

    /// A state that changes only in calls of its own, which the macros cannot make.
    private final class Subject {
        typealias Effects = ClusterState<ClusterNodeID>.Effects
        private var state: ClusterState<ClusterNodeID>
        private(set) var nodes: [Int: ClusterNodeID] = [:]

        init(seeds: [Int]) {
            let addresses = seeds.map { RedisAddress(host: "h", port: $0) }
            state = ClusterState(seeds: addresses, pinned: "bus") { $0 }
        }

        func began() -> Effects { took(state.began()) }
        func connected(_ port: Int, _ connection: UInt64 = 1) throws -> Effects {
            took(state.connected(try #require(nodes[port]), connection: connection))
        }
        func lost(_ id: ClusterNodeID) -> Effects { took(state.lost(id)) }
        func lost(_ port: Int) throws -> Effects { took(state.lost(try #require(nodes[port]))) }
        func answered(_ port: Int, _ view: ClusterView) throws -> Effects {
            took(state.answered(try #require(nodes[port]), view))
        }
        func place(_ slot: Int, _ session: UInt64? = nil) throws -> (port: Int, session: UInt64) {
            let place = try state.place(of: try #require(HashSlot(slot)), session: session)
            return (place.client.address.port, place.session)
        }
        var session: UInt64? { state.session }
        var shards: [RedisShard] { state.shards }

        private func took(_ effects: Effects) -> Effects {
            for id in effects.started { nodes[id.address.port] = id }
            return effects
        }
    }

    private static let halves = ClusterView(owners: [owner(1, 1, 0...8_191), owner(2, 2, 8_192...16_383)])

    private static func connected() throws -> Subject {
        let subject = Subject(seeds: [1])
        #expect(subject.began().started.map(\.address.port) == [1])
        #expect(try subject.connected(1).began == nil)
        let found = try subject.answered(1, Self.halves)
        #expect(found.started.map(\.address.port) == [2] && found.began == nil && found.moved != nil)
        #expect(throws: RedisError.notConnected) { try subject.place(0) }
        #expect(try subject.connected(2).began == 1)
        return subject
    }

    @Test("there is a session once every primary is connected, and commands go where their slot is")
    func whole() throws {
        let subject = try Self.connected()
        #expect(try subject.place(0) == (1, 1))
        #expect(try subject.place(16_383, 1) == (2, 1))
        #expect(throws: RedisError.sessionChanged) { try subject.place(0, 2) }
        // The pinned shard first, whichever it is.
        #expect(subject.shards.count == 2 && subject.shards[0].tag == "bus")
        #expect(try subject.answered(2, Self.halves).ended == nil, "the same answer changes nothing")
    }

    @Test("it ends with any primary that is lost, and a connection made anew is another session")
    func lost() throws {
        let subject = try Self.connected()
        let lost = try subject.lost(2)
        #expect(lost.ended == 1 && lost.began == nil && subject.session == nil)
        #expect(throws: RedisError.notConnected) { try subject.place(0) }
        #expect(try subject.connected(2, 2).began == 2)
    }

    @Test("a slot that moves ends it, though every connection stands")
    func moved() throws {
        let subject = try Self.connected()
        let slot = HashSlot(of: Array("bus".utf8)).number
        let isFirst = slot < 8_192
        let view = ClusterView(
            owners: isFirst
                ? [Self.owner(2, 3, 0...16_383)] : [Self.owner(1, 3, 0...16_383)]
        )
        let moved = try subject.answered(1, view)
        #expect(moved.ended == 1 && moved.began == 2 && moved.moved?.port == (isFirst ? 2 : 1))
        #expect(try subject.place(slot).port == (isFirst ? 2 : 1))
        #expect(subject.shards == [RedisShard(tag: "bus")])
    }

    @Test(
        "a replica that takes over is connected first; the node that is gone is given up, and what it says later is not heard"
    )
    func failedOver() throws {
        let subject = try Self.connected()
        let gone = try #require(subject.nodes[2])
        _ = try subject.lost(2)
        let taken = ClusterView(owners: [Self.owner(1, 1, 0...8_191), Self.owner(3, 4, 8_192...16_383)])
        let found = try subject.answered(1, taken)
        #expect(found.started.map(\.address.port) == [3] && found.stopped == [gone])
        #expect(try subject.connected(3).began == 2)
        #expect(subject.lost(gone).ended == nil)
        #expect(try subject.place(16_383).port == 3)
    }

    @Test("a redirection names a place, for good or for one command")
    func redirections() {
        func read(_ line: String) -> (RedisAddress, Bool)? {
            RedisServerError(line: line).redirection.map { ($0.address, $0.isForOne) }
        }
        #expect(read("MOVED 3999 127.0.0.1:6381")! == (RedisAddress(host: "127.0.0.1", port: 6_381), false))
        #expect(read("ASK 3999 ::1:6381")! == (RedisAddress(host: "::1", port: 6_381), true))
        #expect(read("MOVED") == nil && read("MOVED 1 x") == nil && read("ERR 1 h:1") == nil)
    }
}
