import Logging

@testable import Caching

/// One life of a node: the real keeper, cache, invalidator and relay over simulated connections.
final class SimulatedNode: @unchecked Sendable {
    let index: Int
    let executor: NodeExecutor
    let commands: CommandLink
    let subscription: SubscriptionLink
    let settings: CoherenceSettings
    private(set) var keeper: CoherenceKeeper!
    private(set) var cache: TieredCache!
    private(set) var invalidator: Invalidator!
    private(set) var relay: Relay!
    unowned let world: World
    private(set) var isAlive = true
    /// What this node has applied of the control log, and the generation in it.
    var appliedControl: Int64 = 0
    var generation: Int64 = 0
    private var tasks: [Task<Void, Never>] = []
    private(set) var unfinished = 0
    /// Whoever waits for a store or sleeps; told when the node dies.
    private var waiting: [Int: () -> Void] = [:]
    private var lastWaiting = 0

    init(index: Int, world: World, settings: CoherenceSettings, lateness: UInt64) {
        self.index = index
        self.world = world
        self.settings = settings
        self.executor = NodeExecutor(world.scheduler, lateness: lateness)
        self.commands = CommandLink(world.scheduler)
        self.subscription = SubscriptionLink(world.scheduler)
        let scheduler = world.scheduler
        let adapters = SimulatedAdapters(node: self)
        let log = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
        self.keeper = CoherenceKeeper(
            settings: settings,
            bus: adapters,
            control: adapters,
            journal: adapters,
            tail: world.followsJournal ? adapters : nil,
            log: log,
            now: { world.origin.advanced(by: .microseconds(scheduler.now)) },
            wallClock: { 1_780_000_000_000 + scheduler.now / 1_000 }
        )
        self.cache = TieredCache(
            keeper: self.keeper,
            shared: adapters,
            versions: adapters,
            settings: settings,
            log: log,
            sleep: { try await self.sleep($0) },
            pause: { try await self.sleep($0) },
            draw: { 0 }
        )
        self.invalidator = Invalidator(keeper: self.keeper, shared: adapters, bus: adapters)
        self.relay = Relay(
            settings: settings,
            leadership: NoLeadership(),
            journal: adapters,
            shared: adapters,
            bus: adapters,
            progress: adapters,
            log: log
        )
        self.commands.onChange = { [keeper, commands] in keeper!.sharedConnectionChanged(isConnected: commands.isUp) }
        self.commands.onLost = { [weak self] in self?.connectSoon() }
        self.subscription.onLost = { [keeper] in keeper!.subscriptionLost(session: $0) }
        self.subscription.onEnded = { [weak self] in self?.subscribeSoon() }
    }

    // MARK: Life

    /// Starts what the node's services run, each as often as they would.
    func start() {
        self.subscribeSoon()
        self.run { await $0.keeper.bus(applying: $0) }
        self.run { node in await node.keeper.checks.run { await node.keeper.readControl() } }
        self.run { node in for await _ in node.keeper.beats { await node.keeper.beatOnce() } }
        if self.world.followsJournal {
            self.run { node in for await _ in node.keeper.polls { await node.keeper.pollJournal() } }
            self.run { node in
                while node.isAlive {
                    node.keeper.pollSoon.yield()
                    try? await node.sleep(node.settings.journalInterval)
                }
            }
        }
        self.run { await $0.cache.refreshes.run() }
        self.run { node in
            while node.isAlive {
                try? await node.sleep(node.cache.renewals.interval)
                await node.cache.renewals.renew()
            }
        }
        self.run { node in
            for await session in node.keeper.sessions { await node.cache.reverification.run(session: session) }
        }
        self.run { node in
            while node.isAlive {
                // Beside the heartbeats, which must not wait; only where there is something to be done.
                if !node.keeper.isSharedTrusted { node.run { await $0.keeper.restoreTrust() } }
                await node.keeper.beatOnce()
                try? await node.sleep(node.settings.heartbeatInterval)
            }
        }
        self.run { node in
            while node.isAlive {
                try? await node.sleep(node.settings.controlInterval)
                node.keeper.checks.request()
            }
        }
    }

    /// A task of this node, which ends with it.
    @discardableResult
    func run(_ body: @escaping @Sendable (SimulatedNode) async -> Void) -> Task<Void, Never> {
        self.unfinished += 1
        let task = Task(executorPreference: self.executor) {
            await body(self)
            self.unfinished -= 1
        }
        self.tasks.append(task)
        return task
    }

    /// SIGKILL: whatever its tasks still do has no effect on anybody.
    func die() {
        guard self.isAlive else { return }
        self.isAlive = false
        self.executor.pausedUntil = 0
        self.world.unsubscribe(self.subscription)
        self.subscription.close()
        self.commands.onLost = {}
        self.commands.lose()
        for task in self.tasks { task.cancel() }
        let waiting = self.waiting.sorted { $0.key < $1.key }
        self.waiting = [:]
        for (_, end) in waiting { end() }
    }

    // MARK: Connections

    private func connectSoon() {
        self.world.scheduler.after(self.world.scheduler.draw(1_000...80_000)) {
            guard self.isAlive else { return }
            guard self.world.scheduler.now >= self.world.redisDownUntil else { return self.connectSoon() }
            self.commands.connect()
        }
    }

    private func subscribeSoon() {
        self.world.unsubscribe(self.subscription)
        let isFirst = self.subscription.session == 0 && self.world.scheduler.now >= self.world.redisDownUntil
        self.world.scheduler.after(isFirst ? 1 : self.world.scheduler.draw(1_000...self.world.slowestReconnect)) {
            guard self.isAlive else { return }
            guard self.world.scheduler.now >= self.world.redisDownUntil else { return self.subscribeSoon() }
            self.world.redis(of: self.index).subscribers.append(self.subscription)
            self.subscription.confirm()
            self.world.scheduler.note("node \(self.index): subscribed, session \(self.subscription.session)")
        }
    }

    // MARK: Waiting

    /// Waits for something that comes by an event; ends early with the node's life, or with the task.
    ///
    /// - Parameter begin: Gets what is to be called, once; what it is called with is the result, nil where the node is dead.
    func wait<Value>(_ begin: (@escaping (Value) -> Void) -> Void, otherwise: Value) async -> Value {
        guard self.isAlive else { return otherwise }
        self.lastWaiting += 1
        let id = self.lastWaiting
        return await withUnsafeContinuation { continuation in
            let once = Once(continuation)
            self.waiting[id] = { once.resume(otherwise) }
            begin { value in
                self.waiting[id] = nil
                once.resume(value)
            }
        }
    }

    private final class Once<Value>: @unchecked Sendable {
        private var continuation: UnsafeContinuation<Value, Never>?
        init(_ continuation: UnsafeContinuation<Value, Never>) { self.continuation = continuation }
        func resume(_ value: Value) {
            nonisolated(unsafe) let value = value
            self.continuation?.resume(returning: value)
            self.continuation = nil
        }
    }

    func sleep(_ duration: Duration) async throws {
        try Task.checkCancellation()
        let alarm = Alarm()
        await withTaskCancellationHandler {
            _ = await self.wait(
                { (wake: @escaping (Bool) -> Void) in
                    alarm.wake = { wake(true) }
                    self.world.scheduler.after(duration.nanoseconds / 1_000) { alarm.ring() }
                },
                otherwise: false
            )
        } onCancel: {
            alarm.ring()
        }
        try Task.checkCancellation()
    }

    private final class Alarm: @unchecked Sendable {
        var wake: (() -> Void)?
        func ring() {
            let wake = self.wake
            self.wake = nil
            wake?()
        }
    }
}

extension CoherenceKeeper {
    fileprivate func bus(applying node: SimulatedNode) async {
        while let event = await node.wait({ node.subscription.next($0) }, otherwise: nil) { self.apply(event) }
    }
}

/// The simulation decides which node relays.
private struct NoLeadership: Leadership {
    func isLeader() async -> Bool { false }
    func resign() async {}
}
