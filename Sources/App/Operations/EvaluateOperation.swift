import NIOCore
package import RecommendationCore
package import RecommendationEngine
import Training

/// `vireo evaluate`: what the lists of models are worth against a test file, or what recipes would have been worth after a
/// moment of the past.
package struct EvaluateOperation: Sendable {
    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    package enum Failure: Error, CustomStringConvertible, Sendable {
        case nobody
        case nobodyLater

        package var description: String {
            switch self {
            case .nobody: "nobody is to be judged: no line of the test file has a user and an item"
            case .nobodyLater: "nobody is to be judged: nobody took to anything new after that part"
            }
        }
    }

    /// What one model reached.
    package struct Outcome: Sendable {
        /// The version that was judged; nil where a recipe was fitted for the occasion.
        package let model: String?
        package let recipe: String
        package let report: ListReport
    }

    /// Judges models, however they came about, by users with the items that they are known to have taken to.
    ///
    /// Users without a history get what everybody gets; items that the catalogue does not have are never found.
    ///
    /// - Parameter models: Where there is none, the active one.
    /// - Throws: ``Failure/nobody`` where none has an item.
    package func run(
        tenant: Tenant.ID,
        test: [(user: User.ID, items: [Item.ID])],
        models: [ModelVersion.Number],
        cutoff: Int
    ) async throws -> [Outcome] {
        guard test.contains(where: { !$0.items.isEmpty }) else { throw Failure.nobody }
        let policy = try await PolicyLookup(session: self.session).active(tenant: tenant)
        let data = try await OfflineData.read(self.session, tenant: tenant, model: models.first)
        var numbers: [Item.ID: Item.Number] = [:]
        for numbered in data.set.items { numbers[numbered.item.id] = numbered.number }
        let users = test.filter { !$0.items.isEmpty }.map { user, items in
            let relevant = items.enumerated().map { index, item in numbers[item] ?? .max - UInt32(index) }
            return Split.User(history: data.rows[user].map { data.histories[$0] } ?? [], relevant: relevant)
        }
        let input = data.set.fitInput(builtAt: data.version.builtAt, policy: policy)
        var outcomes: [Outcome] = []
        for number in models.isEmpty ? [data.version.number] : models {
            let judged = try await data.with(number, self.session, tenant: tenant)
            let lists = RecipeTrial.lists(
                users,
                judged.snapshot,
                limit: cutoff,
                terms: EventTerms(.builtIn),
                threads: System.coreCount
            )
            outcomes.append(
                Outcome(
                    model: ModelVersion.name(number),
                    recipe: judged.version.recipe,
                    report: try ListReport(lists, users, cutoff: cutoff, input: input)
                )
            )
        }
        return outcomes
    }

    /// Fits recipes on what was known at a moment, and judges them by what came after.
    ///
    /// - Parameters:
    ///   - recipes: Where there is none, the active model's.
    ///   - share: The part of the interactions before the moment.
    package func backtest(
        tenant: Tenant.ID,
        recipes: [Recipe],
        share: Double,
        cutoff: Int
    ) async throws -> [Outcome] {
        let policy = try await PolicyLookup(session: self.session).active(tenant: tenant)
        var recipes = recipes
        if recipes.isEmpty {
            let active = try await self.session.models.versions(tenant: tenant).first { $0.state == .active }
            recipes = [active.flatMap { Recipe(named: $0.recipe, parameters: $0.parameters) } ?? .standard]
        }
        let set = try await TrainingSet.read(from: self.session.data, tenant: tenant)
        var input = set.fitInput(builtAt: WallClock.now(), policy: policy)
        let split = try Split.byTime(of: input, share: share, users: 100_000, order: set.usersByNumber)
        guard !split.users.isEmpty else { throw Failure.nobodyLater }
        input.heldBack = split.heldBack
        let threads = System.coreCount
        return try recipes.map { recipe in
            let snapshot = try SnapshotBuilder.fit(input, recipe: recipe, threads: threads)
            let terms = EventTerms(policy)
            let lists = RecipeTrial.lists(split.users, snapshot, limit: cutoff, terms: terms, threads: threads)
            let report = try ListReport(lists, split.users, cutoff: cutoff, input: input)
            return Outcome(model: nil, recipe: recipe.name, report: report)
        }
    }
}
