import Caching
package import Logging
import Metrics
package import RecommendationCore
import ServiceLifecycle

/// Lists that were computed ahead, read where a user's own can neither be found nor computed.
///
/// Computations are limited for the store's sake, so those who were turned away must not come to it one by one: what is asked
/// for within a tick is one statement, of rows by their keys, and two are under way at once.
package final class PrecomputedLists: Service {
    /// The age at which a list is not served any more, and removed.
    package static let maximumAge = Duration.seconds(86_400)

    private struct Question: Sendable {
        let user: User.ID
        let lineage: PrecomputedList.Lineage
        let tenant: Tenant.ID
        let since: Timestamp
    }

    private let batcher: TickBatcher<Question, PrecomputedList?, RepositoryError>
    private let latest: Duration
    private let log: Logger
    private let found = PrecomputedLists.counter("found")
    private let missing = PrecomputedLists.counter("missing")
    private let failed = PrecomputedLists.counter("failed")
    private let skipped = PrecomputedLists.counter("skipped")

    /// - Parameters:
    ///   - maximumSize: Users in one statement.
    ///   - width: Statements at once.
    ///   - latest: A request that has taken as long as this already is to be answered by what needs no store.
    package init(
        _ repository: any PrecomputedListRepository,
        maximumSize: Int = 64,
        width: Int = 2,
        latest: Duration,
        log: Logger
    ) {
        self.latest = latest
        self.log = log
        self.batcher = TickBatcher(
            name: "precomputed",
            maximumSize: maximumSize,
            width: width,
            cancelled: .unavailable("cancelled")
        ) { questions async throws(RepositoryError) in
            try await Self.lists(questions, in: repository)
        }
    }

    var isRunning: Bool { self.batcher.isRunning }

    package func run() async throws { try await self.batcher.run() }

    /// The list of a user by a lineage that may be served now; nil also where that cannot be told.
    ///
    /// - Parameter start: Of the request.
    func list(
        of user: User.ID,
        _ lineage: PrecomputedList.Lineage,
        tenant: Tenant.ID,
        at now: Timestamp,
        since start: ContinuousClock.Instant
    ) async -> PrecomputedList? {
        guard ContinuousClock.now - start < self.latest else {
            self.skipped.increment()
            return nil
        }
        do {
            let question = Question(user: user, lineage: lineage, tenant: tenant, since: Self.oldest(at: now))
            let list = try await self.batcher.load(question)
            (list == nil ? self.missing : self.found).increment()
            return list
        } catch {
            self.failed.increment()
            self.log.debug("no precomputed list can be read", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// When the oldest list was computed that may be served.
    static func oldest(at now: Timestamp) -> Timestamp {
        Timestamp(microseconds: now.microseconds - Self.maximumAge.components.seconds * 1_000_000)
    }

    private static func lists(
        _ questions: [Question],
        in repository: any PrecomputedListRepository
    ) async throws(RepositoryError) -> [PrecomputedList?] {
        var lists = [PrecomputedList?](repeating: nil, count: questions.count)
        for (tenant, places) in Dictionary(grouping: questions.indices, by: { questions[$0].tenant }) {
            let read = try await repository.lists(
                of: places.map { (questions[$0].user, questions[$0].lineage) },
                since: questions[places[0]].since,
                tenant: tenant
            )
            for (place, list) in zip(places, read) { lists[place] = list }
        }
        return lists
    }

    private static func counter(_ result: String) -> Counter {
        Counter(label: "vireo_precomputed_reads_total", dimensions: [("result", result)])
    }
}
