import Logging
import RecommendationCore
import RecommendationEngine
import Synchronization
import Testing

@testable import Training

/// What a policy says of events is what a model is fitted by.
@Suite("Training by a policy")
struct PolicyTrainingTests {
    /// Item 0 was bought long ago, item 1 is looked at today; each by ten users.
    final class Store: TrainingDataRepository, ModelRepository {
        struct State {
            var stored: [(model: ModelVersion, artifact: [UInt8], mark: String)] = []
        }

        let state = Mutex(State())

        func mark(tenant: Tenant.ID) async throws(RepositoryError) -> String { "data" }

        func items(tenant: Tenant.ID) async throws(RepositoryError) -> [NumberedItem] {
            (0..<2).map { NumberedItem(number: $0, item: Item(id: Item.ID(trusted: "i\($0)"), title: "")) }
        }

        func reduceInteractions<Result: Sendable>(
            tenant: Tenant.ID,
            into initial: Result,
            _ update: @escaping @Sendable (inout Result, InteractionRow) -> Void
        ) async throws(RepositoryError) -> Result {
            var result = initial
            for user in Int64(0)..<10 {
                for (item, type, day) in [(0, EventType.purchase, 0), (1, .view, 100)] as [(UInt32, EventType, Int64)] {
                    update(
                        &result,
                        InteractionRow(user: user, item: item, type: type.code, value: 1, seconds: day * 86_400)
                    )
                }
            }
            return result
        }

        func userIDs(tenant: Tenant.ID) async throws(RepositoryError) -> [Int64: User.ID] { [:] }

        func store(_ model: ModelVersion, artifact: [UInt8], dataMark: String) async throws(RepositoryError) -> Int64 {
            self.state.withLock { state in
                state.stored.append((model, artifact, dataMark))
                return Int64(state.stored.count)
            }
        }

        func versions(tenant: Tenant.ID) async throws(RepositoryError) -> [ModelVersion] { [] }
        func artifact(_ number: Int64) async throws(RepositoryError) -> [UInt8] { [] }
        func begin(recipe: String, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 { 1 }
        func abandon(_ number: Int64) async throws(RepositoryError) {}
        func seal(of number: Int64) async throws(RepositoryError) -> ModelSeal { ModelSeal(bytes: 0, checksum: 0) }
        func newestDataMark(tenant: Tenant.ID) async throws(RepositoryError) -> String? { nil }
        func prune(keeping count: Int, tenant: Tenant.ID) async throws(RepositoryError) {}
    }

    let store = Store()

    var trainer: ModelTrainer {
        ModelTrainer(
            data: self.store,
            models: self.store,
            threads: 1,
            log: Logger(label: "test"),
            wallClock: { Timestamp(seconds: 1_780_000_000) }
        )
    }

    private func mostPopular(by policy: Policy) async throws -> Item.Number {
        _ = try await self.trainer.train(tenant: .default, policy: policy, recipe: .fixed(.standard), evaluates: false)
        let artifact = self.store.state.withLock { $0.stored.last?.artifact ?? [] }
        return try SnapshotArtifact(decoding: artifact).snapshot.popularityOrder[0]
    }

    @Test("event weights and half-life of the policy decide what is popular")
    func fit() async throws {
        var policy = Policy.builtIn
        // 5 bought, less than a tenth left after a hundred days; 0.2 looked at.
        #expect(try await self.mostPopular(by: policy) == 0)
        policy.halfLifeDays = 10
        #expect(try await self.mostPopular(by: policy) == 1)
        policy.halfLifeDays = 30
        policy.eventWeights[.view] = 4
        #expect(try await self.mostPopular(by: policy) == 1)
    }

    @Test("a model is marked by its data and by what the policy says of events, and by nothing else of it")
    func marks() async throws {
        let trainer = self.trainer
        let builtIn = try await trainer.mark(tenant: .default, policy: .builtIn)
        var policy = Policy.builtIn
        policy.version = "p8"
        policy.poolSize = 50
        policy.weights = Policy.Weights(collaborative: 1, content: 0, popularity: 0)
        #expect(try await trainer.mark(tenant: .default, policy: policy) == builtIn)
        policy.halfLifeDays = 31
        let longer = try await trainer.mark(tenant: .default, policy: policy)
        #expect(longer != builtIn)
        policy.halfLifeDays = 30
        policy.eventWeights[.hide] = -4
        let weighed = try await trainer.mark(tenant: .default, policy: policy)
        #expect(weighed != builtIn && weighed != longer)
        _ = try await trainer.train(tenant: .default, policy: policy, recipe: .fixed(.standard), evaluates: false)
        #expect(self.store.state.withLock { $0.stored.last?.mark } == weighed)
    }

    @Test("a model says by which recipe it was built, a named one or the best")
    func recipes() async throws {
        for recipe in [Recipe.cosine, .ease(lambda: 250)] {
            let report = try await self.trainer.train(
                tenant: .default,
                policy: .builtIn,
                recipe: .fixed(recipe),
                evaluates: false
            )
            #expect(report.outcomes.isEmpty)
            let stored = try #require(self.store.state.withLock { $0.stored.last?.model })
            #expect(Recipe(named: stored.recipe, parameters: stored.parameters) == recipe)
        }
        // Ten users with one purchase and a look each: there is nobody to judge by.
        let report = try await self.trainer.train(tenant: .default, policy: .builtIn, recipe: .best, evaluates: true)
        #expect(report.version.recipe == Recipe.standard.name)
        #expect(report.version.parameters == Recipe.standard.parameters)
        #expect(report.version.metrics.isEmpty)
    }
}
