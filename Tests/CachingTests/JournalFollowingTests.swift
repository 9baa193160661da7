import Testing
import VireoTestKit

@testable import Caching

/// A node whose Redis goes away, step by step: what it goes on serving, by whose word, and what makes it stop.
@Suite("Following the journal")
struct JournalFollowingTests {
    let node = Node(followsJournal: true)

    private func key(_ number: Int) -> CacheKey { CacheKey(namespace: "i", owner: "t", member: "u\(number)") }

    private func poll() async { await self.node.keeper.pollJournal { await self.node.keeper.readControl() } }

    /// A live node with an entry of version 5 in L1, whose anchor is the journal's head.
    private func live() async throws {
        await self.node.live()
        self.node.journal.headNow = 100
        _ = try await self.node.ask(primary: 5)
        await self.node.beat()
        #expect(self.node.keeper.standing().isLive)
    }

    private func redisDies() {
        self.node.shared.isDown = true
        self.node.keeper.sharedConnectionChanged(isConnected: false)
        self.node.keeper.subscriptionLost(session: 1)
    }

    @Test("hits go on without a hop at the loss, for a lease without a poll, and for as long as polls come")
    func hitsGoOn() async throws {
        try await self.live()
        self.redisDies()
        let calls = self.node.shared.calls.count
        #expect(try await self.node.ask(primary: 5).tier == .local)
        for _ in 0..<10 {
            self.node.clock.advance(by: .milliseconds(400))
            await self.poll()
            #expect(await self.node.keeper.controlStanding() == .leased)
            #expect(try await self.node.ask(primary: 5).tier == .local)
        }
        #expect(self.node.shared.calls.count == calls, "Redis was not asked")
        #expect(self.node.versions.batches == [], "PostgreSQL was not asked for versions")
        self.node.journal.pollFails = true
        self.node.clock.advance(by: .milliseconds(999))
        await self.poll()
        #expect(self.node.keeper.standing().isLive)
        self.node.clock.advance(by: .milliseconds(1))
        #expect(!self.node.keeper.standing().isLive)
    }

    @Test("what others commit meanwhile is dropped by the next poll, and what is computed then is held by L1 alone")
    func dropped() async throws {
        try await self.live()
        self.redisDies()
        self.node.journal.commit(self.node.key, 6)
        await self.poll()
        #expect(self.node.keeper.local.find(self.node.key, self.node.field) == nil)
        let computed = try await self.node.ask(primary: 6)
        #expect(computed.tier == .computed)
        #expect(computed.withoutShared)
        let hit = try await self.node.ask(primary: 6)
        #expect(hit.tier == .local)
        #expect(hit.entry.version == 6)
    }

    @Test("an invalidation that is polled while an entry is computed keeps it out of L1")
    func overtaken() async throws {
        try await self.live()
        self.redisDies()
        let other = self.key(1)
        _ = try await self.node.ask(other, primary: 5) {
            self.node.journal.commit(other, 6)
            await self.poll()
        }
        #expect(self.node.keeper.local.find(other, self.node.field) == nil)
    }

    @Test("without a live proof of the journal nothing is held that L2 did not take")
    func notAlone() async throws {
        try await self.live()
        self.node.shared.isDown = true
        _ = try await self.node.ask(self.key(1), primary: 5)
        #expect(self.node.keeper.local.find(self.key(1), self.node.field) == nil, "the bus is still there")
        self.redisDies()
        self.node.clock.advance(by: .seconds(2))
        _ = try await self.node.ask(self.key(2), primary: 5)
        #expect(self.node.keeper.local.find(self.key(2), self.node.field) == nil)
    }

    @Test("Redis back and empty: nothing is verified again, the lease never lapses, and L2 is asked again in the end")
    func back() async throws {
        try await self.live()
        self.redisDies()
        self.node.clock.advance(by: .milliseconds(700))
        await self.poll()
        self.node.shared.isDown = false
        self.node.shared.lose(self.node.key)
        self.node.shared.setRelayedNow(nil)
        self.node.keeper.sharedConnectionChanged(isConnected: true)
        await self.node.keeper.beatOnce()
        // Committed before the session begins, published to nobody.
        self.node.journal.commit(self.key(1), 9)
        self.node.keeper.apply(.began(session: 2))
        _ = await self.node.keeper.readControl()
        await self.node.beat()
        #expect(self.node.keeper.standing().isLive)
        #expect(self.node.keeper.leaseAge().map { $0 > .zero } != nil)
        await self.poll()
        self.node.clock.advance(by: .milliseconds(900))
        #expect(self.node.keeper.standing() == (true, 1), "the bus vouches for the stamp of before")
        let versions = self.node.versions.batches.count
        #expect(try await self.node.ask(primary: 5).tier == .local)
        #expect(self.node.versions.batches.count == versions)
        #expect(!self.node.keeper.isSharedTrusted)
        self.node.shared.setRelayedNow(self.node.journal.headNow)
        await self.node.beat()
        #expect(self.node.keeper.isSharedTrusted)
        await self.node.beat()
        // A silent bus is not read past, an eloquent one is.
        let polls = self.node.journal.polls.count
        await self.poll()
        #expect(self.node.journal.polls.count == polls)
    }

    @Test("a bus session that has not been joined by a poll does not prove the stamp of before")
    func notJoined() async throws {
        try await self.live()
        self.redisDies()
        self.node.shared.isDown = false
        self.node.journal.commit(self.node.key, 6)
        self.node.clock.advance(by: .seconds(2))
        self.node.keeper.apply(.began(session: 2))
        _ = await self.node.keeper.readControl()
        await self.node.beat()
        #expect(!self.node.keeper.standing().isLive)
        await self.poll()
        #expect(self.node.keeper.standing().isLive)
        #expect(self.node.keeper.local.find(self.node.key, self.node.field) == nil)
    }

    @Test(
        "rows that a poll applied end trust in L2 until the relay has come as far, and no floor is believed till then"
    )
    func aheadOfTheRelay() async throws {
        try await self.live()
        self.node.keeper.subscriptionLost(session: 1)
        await self.poll()
        #expect(self.node.keeper.isSharedTrusted, "no row, no doubt")
        // Committed; the script that raises the floor has not run.
        self.node.journal.commit(self.node.key, 6)
        await self.poll()
        #expect(!self.node.keeper.isSharedTrusted)
        let answer = try await self.node.ask(primary: 6)
        #expect(answer.entry.version == 6, "L2 still holds 5 with its floor")
        await self.node.keeper.beatOnce()
        #expect(!self.node.keeper.isSharedTrusted)
        self.node.shared.setRelayedNow(self.node.journal.headNow)
        await self.node.keeper.beatOnce()
        #expect(self.node.keeper.isSharedTrusted)
    }

    @Test("more rows than are followed begin a new stamp: L1 stays, and every entry is verified before it is served")
    func overflow() async throws {
        try await self.live()
        self.redisDies()
        for number in 0...10_000 { self.node.journal.commit(self.key(number), 9) }
        self.node.journal.commit(self.node.key, 6)
        var stamps = self.node.keeper.sessions.makeAsyncIterator()
        #expect(await stamps.next() == 1)
        await self.poll()
        let standing = self.node.keeper.standing()
        #expect(standing.isLive)
        #expect(await stamps.next() == standing.session)
        #expect(self.node.keeper.localUsage.entries == 1)
        #expect(try await self.node.ask(primary: 6).entry.version == 6)
        #expect(self.node.versions.batches == [1])
    }

    @Test("another incarnation, and data that went back unnoticed by the connections, end the stamp")
    func broken() async throws {
        try await self.live()
        self.node.keeper.incarnationChanged()
        #expect(self.node.keeper.standing() == (false, nil))
        try await self.live()
        self.node.shared.setRelayedNow(50)
        await self.node.keeper.beatOnce()
        #expect(self.node.keeper.standing() == (false, nil))
        await self.poll()
        #expect(self.node.keeper.standing().isLive)
        #expect(self.node.journal.polls.last == .some(nil), "from the head, not from a position of before")
        _ = try await self.node.ask(primary: 5)
        #expect(self.node.versions.batches == [1], "L1 is verified")
    }

    @Test("what was taken from L2 since the last good heartbeat is let go with the connection")
    func unconfirmed() async throws {
        try await self.live()
        let old = CacheEntry(
            version: 3,
            computedAt: self.node.clock.milliseconds,
            softExpiry: self.node.clock.milliseconds + 60_000,
            hardExpiry: self.node.clock.milliseconds + 60_000,
            cost: 1,
            payload: [3]
        )
        for number in 1...2 {
            let key = self.key(number)
            self.node.shared.setEntry(
                old.encoded(key: key, field: self.node.field),
                floor: 3,
                key: key,
                field: self.node.field
            )
            #expect(try await self.node.ask(key, primary: 3).tier == .shared)
            if number == 1 { await self.node.beat() }
        }
        self.redisDies()
        #expect(self.node.keeper.local.find(self.key(1), self.node.field) != nil)
        #expect(self.node.keeper.local.find(self.key(2), self.node.field) == nil)
        #expect(self.node.keeper.local.find(self.node.key, self.node.field) != nil, "computed, not believed")
    }

    @Test("a control log that is ahead ends the journal's proof too")
    func controlAhead() async throws {
        try await self.live()
        self.redisDies()
        await self.poll()
        #expect(self.node.keeper.standing().isLive)
        async let changed = self.node.keeper.controlChangedLocally()
        while self.node.keeper.standing().isLive { await Task.yield() }
        self.node.keeper.checks.expire(waitingSince: self.node.clock.now.advanced(by: .seconds(1)))
        #expect(await !changed)
        self.node.journal.controlFails = true
        await self.poll()
        #expect(!self.node.keeper.standing().isLive)
        self.node.journal.controlFails = false
        await self.poll()
        #expect(self.node.keeper.standing().isLive)
    }

    @Test("a frozen Redis: the session stands, the journal takes over before the lease runs out, and gives it back")
    func frozen() async throws {
        try await self.live()
        self.node.shared.isDown = true
        self.node.clock.advance(by: .milliseconds(499))
        await self.poll()
        #expect(self.node.journal.polls.isEmpty)
        self.node.clock.advance(by: .milliseconds(1))
        await self.poll()
        #expect(self.node.journal.polls.count == 1)
        self.node.clock.advance(by: .milliseconds(900))
        #expect(self.node.keeper.standing() == (true, 1))
        self.node.shared.isDown = false
        await self.node.beat()
        await self.node.beat()
        await self.poll()
        #expect(self.node.journal.polls.count == 1)
        #expect(self.node.keeper.standing() == (true, 1))
    }

    @Test("a primary that the fleet has left: heartbeats come back, nobody relays, and the journal is read in time")
    func leftByRelay() async throws {
        try await self.live()
        let node = self.node
        node.shared.isLeftByRelay = true
        await node.beat()
        // Others write where this node does not listen.
        node.journal.commit(node.key, 6)
        for _ in 0..<3 {
            node.clock.advance(by: .milliseconds(249))
            await node.beat()
            await self.poll()
        }
        #expect(node.journal.polls.isEmpty, "the relay may be late")
        #expect(node.keeper.standing().isLive)
        node.clock.advance(by: .milliseconds(3))
        await node.beat()
        await self.poll()
        #expect(node.journal.polls.count == 1)
        #expect(node.keeper.local.find(node.key, node.field) == nil)
        #expect(!node.keeper.isSharedTrusted, "floors are raised elsewhere")
        #expect(try await node.ask(primary: 6).entry.version == 6)
        #expect(node.keeper.standing() == (true, 1), "what was not written to is still good")
        node.shared.isLeftByRelay = false
        await node.beat()
        await node.beat()
        await self.poll()
        #expect(node.journal.polls.count == 1)
    }

    @Test("a heartbeat that came back proves nothing for longer than the relay is known to have passed")
    func notBrought() async throws {
        try await self.live()
        let node = self.node
        node.shared.isLeftByRelay = true
        for _ in 0..<3 {
            node.clock.advance(by: .milliseconds(333))
            await node.beat()
            #expect(node.keeper.standing().isLive)
        }
        node.clock.advance(by: .milliseconds(1))
        await node.beat()
        #expect(!node.keeper.standing().isLive)
        await self.poll()
        #expect(node.keeper.standing() == (true, 1))
    }

    @Test("without PostgreSQL as well, hits go on by the bus: nothing is known to be committed")
    func leftByAll() async throws {
        try await self.live()
        let node = self.node
        node.shared.isLeftByRelay = true
        node.journal.pollFails = true
        for _ in 0..<20 {
            node.clock.advance(by: .milliseconds(250))
            await node.beat()
            await self.poll()
        }
        #expect(node.keeper.standing() == (true, 1))
        #expect(try await node.ask(primary: 5).tier == .local)
        // Once the relay is heard of again, it is needed again.
        node.shared.isLeftByRelay = false
        for _ in 0..<2 { await node.beat() }
        node.shared.isLeftByRelay = true
        for _ in 0..<4 {
            #expect(node.keeper.standing().isLive)
            node.clock.advance(by: .milliseconds(250))
            await node.beat()
        }
        #expect(!node.keeper.standing().isLive)
    }

    @Test("a writer that reaches no Redis does not wait for a relay it cannot hear of")
    func noWait() async throws {
        try await self.live()
        self.redisDies()
        self.node.clock.advance(by: .milliseconds(100))
        // Another attempt to connect that fails does not begin the time anew.
        self.node.keeper.sharedConnectionChanged(isConnected: false)
        let start = ContinuousClock.now
        #expect(await !self.node.keeper.relayed(past: 1_000, within: .seconds(60)))
        #expect(ContinuousClock.now - start < .seconds(30))
    }
}
