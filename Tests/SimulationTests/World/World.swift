@testable import Caching

/// One schedule: a fleet, what is written and read, and what goes wrong, all drawn from a seed.
final class World: @unchecked Sendable {
    let scheduler: Scheduler
    /// The primary; where there are two, the one that all will have in the end.
    private(set) var redis: SimulatedRedis
    /// The primary that some nodes still have, and which.
    private var left: (redis: SimulatedRedis, nodes: Set<Int>)?
    private var promotions = 0
    /// Whether nodes read the journal themselves.
    let followsJournal: Bool
    let postgres: SimulatedPostgres
    let judge: Judge
    let origin = ContinuousClock.now
    let faults: SeededFaults
    private let disturbances: [Disturbance]
    private let mayBeSplit: Bool
    private(set) var nodes: [SimulatedNode] = []
    private var dead: [SimulatedNode] = []
    let keys: [CacheKey]
    var redisDownUntil: Int64 = 0
    let slowestReconnect: Int64
    private var settings: CoherenceSettings
    private let lifetimes: Lifetimes
    private let lateness: UInt64
    private var relayPausedUntil: Int64 = 0
    private var leader = 0
    private var events = 0

    /// - Parameters:
    ///   - faults: The rules that its nodes, and the scripts, break.
    ///   - disturbances: What may go wrong.
    init(seed: UInt64, faults: SeededFaults = SeededFaults(), among disturbances: [Disturbance], keepsLog: Bool) {
        self.faults = faults
        self.disturbances = disturbances
        let scheduler = Scheduler(seed: seed, keepsLog: keepsLog)
        self.scheduler = scheduler
        self.redis = SimulatedRedis(scheduler, faults: faults)
        self.postgres = SimulatedPostgres(scheduler)
        let mayBeSplit = disturbances.contains(.split) && (disturbances.count == 1 || scheduler.oneIn(2))
        self.mayBeSplit = mayBeSplit
        self.followsJournal = mayBeSplit || scheduler.oneIn(3)
        var settings = CoherenceSettings(
            heartbeatInterval: .milliseconds(scheduler.pick(mayBeSplit ? [250, 250, 500] : [300, 500, 500])),
            relayInterval: .milliseconds(scheduler.pick([100, 400, 1_500, 4_000])),
            foreignComputePoll: .milliseconds(40),
            // A real clock is asked whether it is over: at once, or never.
            foreignComputeLimit: scheduler.oneIn(2) ? .zero : .seconds(3_600),
            coldOwners: 64,
            localBytes: 8_388_608
        )
        settings.faults = faults
        self.settings = settings
        self.judge = Judge(bound: settings.lease.nanoseconds / 1_000)
        let isShort = scheduler.oneIn(3)
        self.lifetimes = Lifetimes(
            soft: isShort ? .milliseconds(300) : .seconds(300),
            hard: isShort ? .milliseconds(2_500) : .seconds(1_800)
        )
        self.lateness = scheduler.pick([0, 0, 100, 12])
        self.slowestReconnect = scheduler.pick([20_000, 400_000])
        self.keys = (0..<(scheduler.oneIn(4) ? 2 : 1)).map { CacheKey(namespace: "i", owner: "t", member: "u\($0)") }
        for key in self.keys where !scheduler.oneIn(6) { self.postgres.know(key) }
        for index in 0..<scheduler.pick([2, 2, 2, 2, 2, 3, 4]) { self.nodes.append(self.newNode(index)) }
    }

    func redis(of node: Int) -> SimulatedRedis {
        if let left, left.nodes.contains(node) { return left.redis }
        return self.redis
    }

    func unsubscribe(_ subscription: SubscriptionLink) {
        self.redis.subscribers.removeAll { $0 === subscription }
        self.left?.redis.subscribers.removeAll { $0 === subscription }
    }

    private func newNode(_ index: Int) -> SimulatedNode {
        SimulatedNode(index: index, world: self, settings: self.settings, lateness: self.lateness)
    }

    // MARK: Running

    /// Runs the schedule; tasks that have not ended afterwards are stuck.
    func run() {
        self.redis.setRelayed(self.postgres.position, controlHead: 0)
        self.redis.saveDump()
        for node in self.nodes { node.start() }
        self.lead(0)
        let end = self.plan()
        self.scheduler.run(until: end)
        for node in self.nodes { node.die() }
        // What is left ends by itself, each by the end of its connection or its task.
        self.scheduler.run(until: end + 60_000_000)
    }

    /// Tasks that outlived their node.
    var stuck: Int { (self.nodes + self.dead).reduce(0) { $0 + $1.unfinished } }

    // MARK: The plan

    /// Draws what happens; the moment at which it has all been seen.
    private func plan() -> Int64 {
        let scheduler = self.scheduler
        // Nearly always after everybody has begun to trust L2.
        var moment = scheduler.oneIn(8) ? scheduler.draw(1_000...200_000) : scheduler.draw(300_000...700_000)
        for _ in 0..<scheduler.pick([1, 1, 1, 1, 1, 2, 3]) {
            let (key, node) = (scheduler.pick(self.keys), self.anyNode())
            // Everybody has a copy that will be wrong.
            for index in self.nodes.indices {
                let isClose = scheduler.oneIn(3)
                self.read(key, on: index, at: moment - scheduler.draw(isClose ? 0...3_000 : 0...19_000))
            }
            scheduler.at(moment) { self.write(key, on: node) }
            // Beside the write, and soon after.
            for _ in 0..<scheduler.draw(1...4) {
                self.read(key, on: self.anyNode(), at: moment + scheduler.draw(-1_000...6_000))
            }
            if scheduler.oneIn(4) { scheduler.at(moment + scheduler.draw(-5_000...900_000)) { self.change() } }
            for _ in 0..<scheduler.pick([0, 1, 1, 2, 3]) {
                let isClose = scheduler.oneIn(2)
                self.disturb(key, at: moment + scheduler.draw(isClose ? -5_000...5_000 : -400_000...600_000))
            }
            moment += scheduler.draw(scheduler.oneIn(2) ? 1_000...30_000 : 100_000...700_000)
        }
        return moment + self.judge.bound + 320_000
    }

    private func anyNode() -> Int { Int(self.scheduler.draw(0...Int64(self.nodes.count - 1))) }

    // MARK: Writing

    private func write(_ key: CacheKey, on index: Int) {
        self.events += 1
        self.send(event: self.events, key, on: index, attempt: 1)
    }

    private final class Delivery: @unchecked Sendable {
        var isAnswered = false
        var task: Task<Void, Never>?
    }

    /// A client sends an event, and sends it again elsewhere where there is no answer.
    private func send(event: Int, _ key: CacheKey, on index: Int, attempt: Int) {
        let (scheduler, node) = (self.scheduler, self.nodes[index])
        guard node.isAlive else { return self.again(event, key, attempt) }
        let delivery = Delivery()
        let duration = scheduler.oneIn(6) ? scheduler.draw(1_000...700_000) : scheduler.draw(50...800)
        scheduler.note("client: event \(event) to node \(index)")
        delivery.task = node.run { node in
            let stored: (Invalidation, UInt64, Bool)? = await node.wait(
                { resume in
                    scheduler.after(Transit.draw(scheduler)) {
                        guard !self.postgres.isDown else { return resume(nil) }
                        self.postgres.write(key, event: event, duration: duration) { invalidation, transaction, isOld in
                            self.judge.committed(invalidation, transaction: transaction)
                            scheduler.after(Transit.draw(scheduler)) { resume((invalidation, transaction, isOld)) }
                        }
                    }
                },
                otherwise: nil
            )
            guard let (invalidation, transaction, isOld) = stored else {
                delivery.isAnswered = true
                return self.again(event, key, attempt)
            }
            // As `FeedbackService`: a duplicate takes the same steps.
            let isForgotten = isOld && self.faults.has(.duplicateForgotten)
            scheduler.after(900_000) { delivery.task?.cancel() }
            let propagated = await node.invalidator.propagate(
                isForgotten ? [] : [invalidation],
                transaction: transaction,
                within: .seconds(1_000_000)
            )
            delivery.isAnswered = true
            guard node.isAlive else { return self.again(event, key, attempt) }
            self.answered(invalidation, transaction, on: node, propagated)
        }
        if attempt == 1, scheduler.oneIn(4) {
            scheduler.after(scheduler.draw(500...200_000)) {
                if !delivery.isAnswered { self.again(event, key, attempt) }
            }
        }
    }

    private func again(_ event: Int, _ key: CacheKey, _ attempt: Int) {
        guard attempt < 3 else { return }
        self.scheduler.after(self.scheduler.draw(200...30_000)) {
            self.send(event: event, key, on: self.anyNode(), attempt: attempt + 1)
        }
    }

    private func answered(
        _ invalidation: Invalidation,
        _ transaction: UInt64,
        on node: SimulatedNode,
        _ propagated: Bool
    ) {
        let (scheduler, key) = (self.scheduler, invalidation.key)
        scheduler.note("node \(node.index): acknowledges version \(invalidation.version), propagated \(propagated)")
        self.judge.acknowledged(transaction, by: ObjectIdentifier(node), propagated: propagated, at: scheduler.now)
        let (now, bound) = (scheduler.now, scheduler.now + self.judge.bound)
        self.read(key, on: node.index, at: now + (scheduler.oneIn(2) ? 0 : scheduler.draw(0...50_000)))
        if scheduler.oneIn(2) {
            self.read(key, on: self.anyNode(), at: now + scheduler.draw(0...20_000), minimum: invalidation.version)
        }
        for index in self.nodes.indices where index != node.index || scheduler.oneIn(4) {
            if scheduler.oneIn(2) { self.read(key, on: index, at: now + scheduler.draw(0...3_000)) }
            self.read(key, on: index, at: bound + scheduler.draw(scheduler.oneIn(2) ? 0...2_000 : 0...300_000))
        }
    }

    /// Something for everybody: a tombstone, or a purge.
    private func change() {
        let (scheduler, node, isPurge) = (self.scheduler, self.nodes[self.anyNode()], self.scheduler.oneIn(2))
        guard node.isAlive else { return }
        node.run { node in
            guard let id = await node.ask({ $0.change(isPurge: isPurge) }) else { return }
            let announced = await node.invalidator.announceControl()
            guard node.isAlive, announced.isApplied, announced.publishedAt != nil else { return }
            scheduler.note("node \(node.index): acknowledges control \(id)")
            self.judge.changed(id, isPurge: isPurge, by: ObjectIdentifier(node), at: scheduler.now)
            for index in self.nodes.indices {
                let bound = scheduler.now + self.judge.bound
                self.read(self.keys[0], on: index, at: bound + scheduler.draw(0...200_000))
            }
        }
    }

    // MARK: Reading

    private func read(_ key: CacheKey, on index: Int, at moment: Int64, minimum: Int64 = 0) {
        self.scheduler.at(moment) {
            let node = self.nodes[index]
            guard node.isAlive else { return }
            let way = self.scheduler.draw(0...9)
            node.run { await self.ask(key, $0, way: way, minimum: minimum) }
        }
    }

    private struct Gone: Error {}

    private func ask(_ key: CacheKey, _ node: SimulatedNode, way: Int64, minimum: Int64) async {
        let (scheduler, life) = (self.scheduler, ObjectIdentifier(node))
        // What was acknowledged before the request began; what comes meanwhile it need not know.
        let begin = scheduler.now
        let required = self.judge.required(key, on: life, at: begin, minimum: minimum)
        let requiredControl = self.judge.requiredControl(on: life, at: begin)
        let moment = node.keeper.moment()
        let isAtOnce = way == 8 && minimum == 0 && moment.isLive
        let standing = isAtOnce ? .leased : await node.keeper.controlStanding()
        let (control, generation) = (node.appliedControl, node.generation)
        let field = Self.field(self.faults.has(.lostGeneration) ? 0 : generation)
        let lifetimes = self.lifetimes
        let compute: @Sendable () async throws(Gone) -> Computation = { () async throws(Gone) in
            guard let version = await node.ask({ $0.version(key) }) else { throw Gone() }
            if scheduler.oneIn(3) {
                let duration = scheduler.draw(scheduler.oneIn(4) ? 10_000...1_500_000 : 100...20_000)
                try? await node.sleep(.microseconds(duration))
            }
            scheduler.note("node \(node.index): computed from version \(version)")
            return Computation(version: version, payload: Self.payload(version, generation), isCacheable: version > 0)
        }
        let answer: (entry: CacheEntry, tier: String)?
        switch way {
        case 6:
            let answers = await node.cache.entries(
                for: self.keys.map {
                    CacheRequest(
                        place: CachePlace(key: $0, field: field),
                        lifetimes: lifetimes,
                        minimumVersion: $0 == key ? minimum : 0
                    )
                }
            ) { (indices: [Int]) async throws(Gone) in
                let keys = indices.map { self.keys[$0] }
                guard let versions = await node.ask({ postgres in keys.map { postgres.version($0) } }) else {
                    throw Gone()
                }
                return versions.map {
                    Computation(version: $0, payload: Self.payload($0, generation), isCacheable: $0 > 0)
                }
            }
            let place = self.keys.firstIndex(of: key)!
            answer = (try? answers[place].get()).map { ($0.entry, "\($0.tier), together") }
        case 7 where minimum == 0:
            answer = await node.cache.held(for: key, field).map { ($0.entry, "\($0.tier), held") }
        case 8 where isAtOnce:
            let entry =
                node.cache.localEntry(for: key, field, at: moment)
                ?? node.cache.localColdEntry(for: key, field, at: moment) { Self.payload(0, generation) }
            answer = entry.map { ($0, "local, at once") }
        case 9 where minimum == 0:
            let place = CachePlace(key: key, field: field)
            if case .fresh(let entry)? = await node.cache.sharedEntries(of: [place]).first {
                answer = (entry, "shared, ahead")
            } else {
                let computed = await node.cache.computedEntries(
                    for: [CacheRequest(place: place, lifetimes: lifetimes)]
                ) { (_: [Int]) async throws(Gone) in [try await compute()] }
                answer = computed[0].map { ($0, "computed, ahead") }
            }
        default:
            do throws(Gone) {
                let found = try await node.cache.entry(
                    for: key,
                    field,
                    lifetimes: lifetimes,
                    minVersion: minimum,
                    cold: { Self.payload(0, generation) },
                    compute: compute
                )
                answer = (found.entry, "\(found.tier)")
            } catch {
                answer = nil
            }
        }
        guard node.isAlive, let (entry, tier) = answer else { return }
        let seen = Self.read(entry.payload)
        let name = "node \(node.index), asked at \(begin) µs, answers from \(tier):"
        scheduler.note("\(name) version \(seen.version)")
        self.judge.read(seen: seen.version, required: required, "\(name) version")
        if standing != .unverified {
            self.judge.read(seen: control, required: requiredControl.control, "\(name) control (\(standing))")
            self.judge.read(seen: seen.generation, required: requiredControl.generation, "\(name) generation")
        }
    }

    private static func field(_ generation: Int64) -> CacheField {
        CacheField(parts: ["home", "m1", "p0", "", "", String(generation)])
    }

    private static func payload(_ version: Int64, _ generation: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [version, generation] {
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> Int64(shift * 8))) }
        }
        return bytes
    }

    private static func read(_ payload: [UInt8]) -> (version: Int64, generation: Int64) {
        func value(_ start: Int) -> Int64 { (0..<8).reduce(0) { $0 | Int64(payload[start + $1]) << Int64($1 * 8) } }
        return (value(0), value(8))
    }

    // MARK: The relay

    private func lead(_ index: Int) {
        self.leader = index
        let node = self.nodes[index]
        guard node.isAlive else { return self.leadSoon() }
        node.run { node in
            var failed = 0
            while node.isAlive, self.nodes[index] === node, self.leader == index {
                if self.scheduler.now >= self.relayPausedUntil {
                    do {
                        try await node.relay.pass()
                        failed = 0
                    } catch {
                        failed += 1
                        if failed == 5 { break }
                    }
                }
                try? await node.sleep(self.settings.relayInterval)
            }
            self.leadSoon()
        }
    }

    private func leadSoon() {
        guard self.nodes.contains(where: \.isAlive) else { return }
        self.scheduler.after(self.scheduler.draw(10_000...300_000)) { self.lead(self.anyNode()) }
    }

    // MARK: What goes wrong

    private func disturb(_ key: CacheKey, at moment: Int64) {
        let scheduler = self.scheduler
        let kind = scheduler.pick(self.disturbances.filter { $0 != .split || self.mayBeSplit })
        if kind == .wentBack { scheduler.at(moment - scheduler.draw(0...600_000)) { self.redis.saveDump() } }
        scheduler.at(moment) {
            let index = self.anyNode()
            scheduler.note("disturbance: \(kind), node \(index)")
            self.disturb(kind, self.nodes[index], key, for: scheduler.draw(100_000...1_800_000))
            self.read(key, on: index, at: scheduler.now + scheduler.draw(50...3_000))
        }
    }

    private func disturb(_ kind: Disturbance, _ node: SimulatedNode, _ key: CacheKey, for duration: Int64) {
        let (scheduler, redis) = (self.scheduler, self.redis)
        let end = scheduler.now + duration
        switch kind {
        case .subscriptionLost: node.subscription.lose()
        case .subscriptionHeld: node.subscription.heldUntil = end
        case .connectionLost: node.commands.lose()
        case .connectionHeld:
            node.commands.requestsHeldUntil = end
            node.commands.repliesHeldUntil = end
        case .repliesHeld: node.commands.repliesHeldUntil = scheduler.now + scheduler.draw(10_000...95_000)
        case .evicted, .evictedUnheard:
            if kind == .evictedUnheard { node.subscription.lose() }
            let pause = scheduler.draw(300...12_000)
            for step in 0..<scheduler.draw(kind == .evicted ? 1...20 : 10...60) {
                scheduler.after(step * pause) { redis.evict(key) }
            }
        case .flushed: redis.flush()
        case .emptied, .wentBack:
            if kind == .emptied { redis.startEmpty() } else { redis.goBack() }
            self.redisDownUntil = scheduler.now + duration / 4
            for node in self.nodes {
                node.commands.lose(serverDied: true)
                node.subscription.lose()
            }
        case .demoted:
            // A replica of somebody, for longer than there is between two heartbeats; no connection breaks.
            redis.refusesWrites = true
            let isBack = scheduler.oneIn(2)
            scheduler.after(700_000 + duration / 2) {
                redis.refusesWrites = false
                if isBack { redis.goBack() }
            }
        case .nodeKilled:
            node.die()
            self.dead.append(node)
            scheduler.after(duration / 4) {
                self.nodes[node.index] = self.newNode(node.index)
                self.nodes[node.index].start()
            }
        case .nodePaused: node.executor.pausedUntil = end
        case .relayPaused: self.relayPausedUntil = end + duration
        case .split: self.split(for: duration + 500_000)
        case .postgresDown:
            self.postgres.isDown = true
            scheduler.after(duration / 2) { self.postgres.isDown = false }
        }
    }

    /// A replica is promoted. Some nodes have it from now on, the others go on with the old primary, which does not know.
    private func split(for duration: Int64) {
        let scheduler = self.scheduler
        guard self.left == nil, self.nodes.count > 1 else { return }
        self.promotions += 1
        let first = scheduler.draw(1...Int64(self.nodes.count - 1))
        let staying = Set(self.shuffled().prefix(Int(first)))
        self.left = (self.redis, staying)
        self.redis = self.redis.promoted("promoted-\(self.promotions)", isLate: scheduler.oneIn(3))
        scheduler.note("two primaries: nodes \(staying.sorted()) stay with the old one")
        self.move { !staying.contains($0) }
        scheduler.after(duration) {
            scheduler.note("one primary again")
            self.left = nil
            self.move { staying.contains($0) }
        }
    }

    private func shuffled() -> [Int] {
        self.nodes.indices.map { (self.scheduler.draw(0...1_000_000), $0) }.sorted { $0 < $1 }.map(\.1)
    }

    /// Nodes whose connections lead elsewhere from now on.
    private func move(_ isMoved: (Int) -> Bool) {
        for node in self.nodes where isMoved(node.index) {
            node.commands.lose(serverDied: true)
            node.subscription.lose()
        }
    }
}
