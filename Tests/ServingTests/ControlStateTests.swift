import Logging
import RecommendationCore
import RecommendationEngine
import Synchronization
import Testing

@testable import Serving

@Suite("Control state")
struct ControlStateTests {
    /// A store whose deltas a test writes.
    final class Store: ControlRepository, ModelArtifactRepository {
        struct State {
            var delta = ControlDelta(incarnation: "a", head: 1, tenants: [], keys: [], items: [], itemPosition: 1)
            var whole: ControlDelta?
            var asked: [Int64?] = []
            var artifacts: [Int64: [UInt8]] = [:]
            var loads = 0
        }

        let state = Mutex(State())

        func delta(after id: Int64?, items position: UInt64?) async throws(RepositoryError) -> ControlDelta {
            self.state.withLock { state in
                state.asked.append(id)
                return id == nil ? state.whole ?? state.delta : state.delta
            }
        }

        func artifact(_ number: ModelVersion.Number) async throws(RepositoryError) -> [UInt8] {
            let bytes = self.state.withLock { state in
                state.loads += 1
                return state.artifacts[number]
            }
            guard let bytes else { throw .corrupt("no artifact") }
            return bytes
        }

        func addTombstones(_: [Tombstone], reason: String?, expiresAt: Timestamp?, tenant: Tenant.ID)
            async throws(RepositoryError) -> (epoch: Int64, changed: Int)
        { (1, 0) }
        func removeTombstones(_: [Tombstone], tenant: Tenant.ID) async throws(RepositoryError)
            -> (epoch: Int64, changed: Int)
        { (1, 0) }
        func tombstones(kind: Tombstone.Kind?, after: TombstonePlace?, limit: Int, tenant: Tenant.ID)
            async throws(RepositoryError) -> [ListedTombstone]
        { [] }
        func purge(_ scope: PurgeScope, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 { 1 }
        func seal(of number: ModelVersion.Number) async throws(RepositoryError) -> ModelSeal {
            guard let bytes = self.state.withLock({ $0.artifacts[number] }) else { throw .conflict("no such model") }
            return ModelSeal(bytes: Int64(bytes.count), checksum: SnapshotArtifact.checksum(of: bytes))
        }
    }

    let store = Store()
    let changes = Names()
    let clock = ManualInstant()

    final class Names: Sendable {
        let names = Mutex<[String]>([])
    }

    var artifact: [UInt8] { SnapshotArtifact(Snapshot.empty(builtAt: Fixture.now)).encode() }

    func make() -> ControlState {
        let changes = self.changes
        let clock = self.clock
        return ControlState(
            repository: self.store,
            models: StoredSnapshots(self.store),
            policies: Fixture.codec,
            log: Logger(label: "test"),
            wallClock: { Fixture.now },
            now: { clock.now },
            incarnationChanged: { name in changes.names.withLock { $0.append(name) } }
        )
    }

    func control(
        active: Int64?,
        ready: Int64? = nil,
        previous: Int64? = nil,
        policy: StoredPolicy? = nil,
        previousPolicy: StoredPolicy? = nil
    ) -> TenantControl {
        TenantControl(
            tenant: .default,
            generations: Generations(),
            activeModel: active,
            readyModel: ready,
            previousModel: previous,
            activePolicy: policy,
            previousPolicy: previousPolicy
        )
    }

    func policy(_ version: String, _ document: String) -> StoredPolicy {
        StoredPolicy(version: version, document: document, createdAt: Fixture.now)
    }

    func delta(_ incarnation: String = "a", head: Int64, _ tenants: [TenantControl], items: [NumberedItem] = [])
        -> ControlDelta
    {
        ControlDelta(
            incarnation: incarnation,
            head: head,
            tenants: tenants,
            keys: nil,
            items: items.map { (tenant: .default, item: $0) },
            itemPosition: 1
        )
    }

    @Test("an activation is applied only with its model: where that cannot be loaded, nothing is applied")
    func activation() async throws {
        let state = self.make()
        self.store.state.withLock { store in
            store.artifacts[1] = self.artifact
            store.whole = self.delta(head: 1, [self.control(active: 1)])
        }
        try await state.catchUp()
        #expect(state.state(of: .default)?.model?.number == 1)
        self.store.state.withLock { $0.delta = self.delta(head: 2, [self.control(active: 2, previous: 1)]) }
        await #expect(throws: RepositoryError.self) { try await state.catchUp() }
        #expect(state.appliedID == 1)
        #expect(state.state(of: .default)?.model?.number == 1)
        self.store.state.withLock { $0.artifacts[2] = self.artifact }
        try await state.catchUp()
        #expect(state.appliedID == 2)
        #expect(state.state(of: .default)?.model?.number == 2)
        #expect(state.loadedModels == [1, 2], "the one before stays for a rollback")
    }

    @Test("a model made ready is loaded ahead, and its failure holds nothing up")
    func ready() async throws {
        let state = self.make()
        self.store.state.withLock { store in
            store.artifacts[1] = self.artifact
            store.whole = self.delta(head: 1, [self.control(active: 1, ready: 2)])
        }
        try await state.catchUp()
        #expect(state.loadedModels == [1])
        self.store.state.withLock { store in
            store.artifacts[3] = self.artifact
            store.delta = self.delta(head: 2, [self.control(active: 1, ready: 3)])
        }
        try await state.catchUp()
        #expect(state.loadedModels == [1, 3])
    }

    @Test("damaged bytes are not served")
    func corrupt() async throws {
        let state = self.make()
        self.store.state.withLock { store in
            store.artifacts[1] = self.artifact.map { $0 ^ 1 }
            store.whole = self.delta(head: 1, [self.control(active: 1)])
        }
        await #expect(throws: ArtifactError.self) { try await state.catchUp() }
        #expect(state.appliedID == nil)
        #expect(!state.hasModels)
    }

    @Test("another incarnation is read whole, and told of before its state is seen")
    func incarnation() async throws {
        let state = self.make()
        self.store.state.withLock {
            $0.whole = self.delta(head: 5, [self.control(active: nil)], items: Fixture.items(3))
        }
        try await state.catchUp()
        self.store.state.withLock { store in
            store.delta = self.delta("b", head: 1, [])
            store.whole = self.delta("b", head: 1, [self.control(active: nil)], items: Fixture.items(1))
        }
        try await state.catchUp()
        #expect(self.store.state.withLock { $0.asked } == [nil, 5, nil])
        #expect(self.changes.names.withLock { $0 } == ["a", "b"])
        #expect(state.state(of: .default)?.catalog.count == 1)
        #expect(state.appliedID == 1)
    }

    @Test("a change of items alone makes a new state; items that come again make none")
    func items() async throws {
        let state = self.make()
        self.store.state.withLock {
            $0.whole = self.delta(head: 1, [self.control(active: nil)], items: Fixture.items(3))
        }
        try await state.catchUp()
        let first = state.state(of: .default)
        self.store.state.withLock { $0.delta = self.delta(head: 1, [], items: Fixture.items(3)) }
        try await state.catchUp()
        #expect(state.state(of: .default) === first)
        self.store.state.withLock { $0.delta = self.delta(head: 1, [], items: Fixture.items(3) { $0.hidden = true }) }
        try await state.catchUp()
        #expect(state.state(of: .default) !== first)
        #expect(state.state(of: .default)?.catalog.isAvailable(0, at: Fixture.now) == false)
    }

    /// Applies a change of the control state alone.
    func apply(_ control: TenantControl, head: Int64, to state: ControlState) async throws {
        self.store.state.withLock { $0.delta = self.delta(head: head, [control]) }
        try await state.catchUp()
    }

    @Test("the active policy is the tenant's, and without one the built-in")
    func policies() async throws {
        let state = self.make()
        self.store.state.withLock { $0.whole = self.delta(head: 1, [self.control(active: nil)]) }
        try await state.catchUp()
        #expect(state.state(of: .default)?.policy == .builtIn)
        try await self.apply(self.control(active: nil, policy: self.policy("p7", "70")), head: 2, to: state)
        #expect(state.state(of: .default)?.policy.version == "p7")
        #expect(state.state(of: .default)?.policy.poolSize == 70)
        try await self.apply(self.control(active: nil), head: 3, to: state)
        #expect(state.state(of: .default)?.policy == .builtIn)
        #expect(state.tenantsOnLastGoodPolicy.isEmpty)
    }

    @Test("a policy that cannot be read leaves the last good one in force, and its age grows until one can be read")
    func lastGood() async throws {
        let state = self.make()
        self.store.state.withLock {
            $0.whole = self.delta(head: 1, [self.control(active: nil, policy: self.policy("p7", "70"))])
        }
        #expect(state.ages() == nil)
        try await state.catchUp()
        self.clock.advance(by: .seconds(5))
        let newer = self.control(
            active: nil,
            policy: self.policy("p8", "newer"),
            previousPolicy: self.policy("p7", "70")
        )
        try await self.apply(newer, head: 2, to: state)
        #expect(state.appliedID == 2, "the rest of the control state is followed")
        #expect(state.state(of: .default)?.policy.version == "p7")
        #expect(state.state(of: .default)?.isOnLastGoodPolicy == true)
        #expect(state.tenantsOnLastGoodPolicy == [.default])
        #expect(state.ages()?.settings == .zero)
        self.clock.advance(by: .seconds(60))
        // Other changes come and go; the policy is as old as before.
        try await self.apply(newer, head: 3, to: state)
        self.store.state.withLock { $0.delta = self.delta(head: 3, [], items: Fixture.items(1)) }
        try await state.catchUp()
        #expect(state.state(of: .default)?.policy.version == "p7")
        #expect(state.ages()?.settings == .seconds(60))
        let newest = self.control(active: nil, policy: self.policy("p9", "newest"))
        try await self.apply(newest, head: 4, to: state)
        #expect(state.state(of: .default)?.policy.version == "p7", "two that cannot be read in a row")
        #expect(state.ages()?.settings == .seconds(60))
        try await self.apply(self.control(active: nil, policy: self.policy("p10", "10")), head: 5, to: state)
        #expect(state.state(of: .default)?.policy.version == "p10")
        #expect(state.tenantsOnLastGoodPolicy.isEmpty)
        #expect(state.ages()?.settings == .zero)
    }

    @Test(
        "a node that starts without being able to read the active policy takes the one before it, or the built-in",
        arguments: [("70", "p7"), ("newer", "p0")]
    )
    func startsBehind(_ previous: String, _ expected: String) async throws {
        let state = self.make()
        let control = self.control(
            active: nil,
            policy: self.policy("p8", "newer"),
            previousPolicy: self.policy("p7", previous)
        )
        self.store.state.withLock { $0.whole = self.delta(head: 1, [control]) }
        try await state.catchUp()
        #expect(state.state(of: .default)?.policy.version == expected)
        #expect(state.tenantsOnLastGoodPolicy == [.default])
    }

    @Test("settings age from the last read of the control log, the snapshot from when it was built")
    func ages() async throws {
        let state = self.make()
        self.store.state.withLock { store in
            let old = Snapshot.empty(builtAt: Timestamp(seconds: Fixture.now.microseconds / 1_000_000 - 90))
            store.artifacts[1] = SnapshotArtifact(old).encode()
            store.whole = self.delta(head: 1, [self.control(active: 1)])
        }
        try await state.catchUp()
        #expect(state.ages() == SettingsAges(settings: .zero, snapshot: .seconds(90)))
        self.clock.advance(by: .seconds(7))
        #expect(state.ages()?.settings == .seconds(7))
        self.store.state.withLock { $0.delta = self.delta(head: 1, []) }
        try await state.catchUp()
        #expect(state.ages()?.settings == .zero)
    }
}

/// A monotonic clock that a test moves.
final class ManualInstant: Sendable {
    private let instant = Mutex(ContinuousClock.now)

    var now: ContinuousClock.Instant { self.instant.withLock { $0 } }

    func advance(by duration: Duration) { self.instant.withLock { $0 = $0.advanced(by: duration) } }
}
