import RecommendationCore
import RecommendationEngine
import Synchronization
import Testing

@testable import Caching
@testable import Serving

/// Two models side by side, one after the other, and back: one node over an L2 in memory.
@Suite("Serving by two models")
struct ModelServingTests {
    private typealias Node = PolicyServingTests.Node

    private static let users = (0..<40).map { User.ID(trusted: "u\($0)") }

    /// Users have item 19, which goes together with its neighbours in model 1, and with items 0 to 9 in model 2.
    private func node() async throws -> Node {
        let node = try await Node { _ in }
        var interactions = InteractionColumns()
        var user: UInt32 = 0
        for item in UInt32(0)..<10 {
            for _ in 0...item {
                for item in [item, 19] {
                    interactions.append(user: user, item: item, type: EventType.click.code, value: 1, seconds: 0)
                }
                user += 1
            }
        }
        let input = FitInput(interactions: interactions, itemCount: 20, builtAt: Fixture.now)
        let snapshot = try SnapshotBuilder.fit(input, threads: 1)
        node.store.state.withLock { $0.artifacts[2] = SnapshotArtifact(snapshot).encode() }
        return node
    }

    /// Puts a change of the control state into the store.
    private func write(
        head: Int64,
        active: Int64,
        previous: Int64? = nil,
        canary: ModelCanary? = nil,
        _ node: Node
    ) {
        let control = TenantControl(
            tenant: .default,
            generations: Generations(),
            activeModel: active,
            readyModel: nil,
            previousModel: previous,
            canaryModel: canary,
            activePolicy: StoredPolicy(version: "p8", document: "", createdAt: Fixture.now)
        )
        let delta = ControlDelta(
            incarnation: "a",
            head: head,
            tenants: [control],
            keys: nil,
            items: [],
            itemPosition: 1
        )
        node.store.state.withLock { $0.delta = delta }
    }

    private func ask(_ user: User.ID, _ node: Node) async throws -> Recommendation {
        try await node.service.recommend(
            RecommendationRequest(tenant: .default, user: user, surface: "home", limit: 5)
        )
    }

    private func items(_ answer: Recommendation) -> [String] { answer.items.map(\.item.string) }

    @Test("after a rollback every list is where it was, of users who did not ask meanwhile too")
    func rollback() async throws {
        let node = try await self.node()
        var before: [[String]] = []
        for user in Self.users {
            let answer = try await self.ask(user, node)
            #expect(answer.tier == .computed && answer.modelVersion == "m1")
            before.append(self.items(answer))
        }
        self.write(head: 2, active: 2, previous: 1, node)
        _ = await node.keeper.readControl()
        for user in Self.users.prefix(20) {
            let answer = try await self.ask(user, node)
            #expect(answer.tier == .computed && answer.modelVersion == "m2")
            #expect(self.items(answer) != before[0])
        }
        #expect(node.control.loadedModels == [1, 2])
        self.write(head: 3, active: 1, node)
        _ = await node.keeper.readControl()
        let reads = node.users.reads
        var hits = 0
        for (user, items) in zip(Self.users, before) {
            let answer = try await self.ask(user, node)
            #expect(answer.modelVersion == "m1" && self.items(answer) == items)
            if answer.tier == .l1 || answer.tier == .l2 { hits += 1 }
        }
        #expect(hits == Self.users.count)
        #expect(node.users.reads == reads)
    }

    @Test("a part of the users has the other model, always the same, alone and in a batch")
    func canary() async throws {
        let node = try await self.node()
        let canary = ModelCanary(number: 2, share: 4_000)
        self.write(head: 2, active: 1, canary: canary, node)
        _ = await node.keeper.readControl()
        let expected = Self.users.map { canary.takes($0) ? "m2" : "m1" }
        #expect(Set(expected).count == 2)
        var lists: [[String]] = []
        for (user, model) in zip(Self.users, expected) {
            let answer = try await self.ask(user, node)
            #expect(answer.modelVersion == model)
            lists.append(self.items(answer))
        }
        #expect(Set(zip(lists, expected).map { "\($0.1) \($0.0)" }).count == 2, "a list a model")
        // In L1 now, and computed together where they are not.
        for isPurged in [false, true] {
            if isPurged { await self.purge(node, canary) }
            let requests = Self.users.map {
                RecommendationRequest(tenant: .default, user: $0, surface: "home", limit: 5)
            }
            let answers = try await node.service.recommend(requests, tenant: .default)
            for (index, answer) in answers.enumerated() {
                let answer = try answer.get()
                #expect(answer.modelVersion == expected[index] && self.items(answer) == lists[index])
            }
        }
        // Popular items are those of a user's model, and without a user those of the active one.
        for (user, model) in zip(Self.users, expected).prefix(8) {
            let list = try await node.lists.list(
                ListRequest(tenant: .default, kind: .popular, user: user, limit: 3)
            )
            #expect(list.modelVersion == model)
        }
    }

    private func purge(_ node: Node, _ canary: ModelCanary) async {
        let control = TenantControl(
            tenant: .default,
            generations: Generations(tenant: 3),
            activeModel: 1,
            readyModel: nil,
            previousModel: nil,
            canaryModel: canary,
            activePolicy: StoredPolicy(version: "p8", document: "", createdAt: Fixture.now)
        )
        let delta = ControlDelta(
            incarnation: "a",
            head: 3,
            tenants: [control],
            keys: nil,
            items: [],
            itemPosition: 1
        )
        node.store.state.withLock { $0.delta = delta }
        _ = await node.keeper.readControl()
    }

    @Test("a canary that cannot be loaded leaves its users to the active model")
    func missingCanary() async throws {
        let node = try await self.node()
        self.write(head: 2, active: 1, canary: ModelCanary(number: 9, share: 9_999), node)
        _ = await node.keeper.readControl()
        #expect(node.control.appliedID == 2)
        for user in Self.users.prefix(5) { #expect(try await self.ask(user, node).modelVersion == "m1") }
    }

    @Test("no answer mixes two models, while they are switched to and fro")
    func switching() async throws {
        let node = try await self.node()
        var lists: [String: [String]] = [:]
        for model in [Int64(1), 2] {
            self.write(head: model + 1, active: model, previous: 3 - model, node)
            _ = await node.keeper.readControl()
            let answer = try await self.ask(User.ID(trusted: "known"), node)
            lists[answer.modelVersion] = self.items(answer)
        }
        let known = lists
        #expect(Set(known.values).count == 2)
        try await withThrowingTaskGroup(of: [String: Int].self) { group in
            for task in 0..<4 {
                group.addTask {
                    var seen: [String: Int] = [:]
                    for round in 0..<150 {
                        let answer = try await self.ask(User.ID(trusted: "v\(task)-\(round % 30)"), node)
                        #expect(self.items(answer) == known[answer.modelVersion], "\(answer.modelVersion)")
                        seen[answer.modelVersion, default: 0] += 1
                        await Task.yield()
                    }
                    return seen
                }
            }
            for head in Int64(4)..<60 {
                self.write(head: head, active: 1 + head % 2, previous: 2 - head % 2, node)
                _ = await node.keeper.readControl()
                await Task.yield()
            }
            var seen: [String: Int] = [:]
            for try await some in group { seen.merge(some, uniquingKeysWith: +) }
            #expect(seen.values.reduce(0, +) == 600)
        }
    }
}
