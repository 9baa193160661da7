import Metrics

/// One of many entries that are asked for together.
public struct CacheRequest: Sendable {
    /// Whose entry, and which.
    public let place: CachePlace
    /// Of the entry, if it is computed now.
    public let lifetimes: Lifetimes
    /// Nothing below this version will do; 0: any that may be served.
    public let minimumVersion: Int64
    /// Whether a stale copy may be the answer.
    public let servesStale: Bool

    /// A request of these parts.
    public init(place: CachePlace, lifetimes: Lifetimes, minimumVersion: Int64 = 0, servesStale: Bool = true) {
        self.place = place
        self.lifetimes = lifetimes
        self.minimumVersion = minimumVersion
        self.servesStale = servesStale
    }
}

/// Many entries at once, by the rules of ``TieredCache/entry(for:_:lifetimes:minVersion:cold:compute:)``: one read of L2 for
/// all that L1 may not serve, and one computation for all that L2 may not.
///
/// What differs is where a single caller would ask the store about one owner, or wait:
/// - While L2 is not trusted, what would be checked against the version in PostgreSQL is computed.
/// - What another node computes at the moment is not waited for: a stale copy is served, or the entry is computed and stored
///   nowhere.
/// - A flight of this node is waited for only after this call's own have landed, so that no two calls wait for each other.
extension TieredCache {
    /// The entries of many places, which should differ, in their order.
    ///
    /// - Parameter compute: Takes indices into `requests` and gives a computation for each; opens its snapshot when it is
    ///   called. Called once, and again only for what a joined flight did not bring.
    public func entries<Failure: Error>(
        for requests: [CacheRequest],
        compute: ([Int]) async throws(Failure) -> [Computation]
    ) async -> [Result<CacheAnswer, Failure>] {
        let start = ContinuousClock.now
        var looks = await self.look(requests)
        for index in requests.indices where !requests[index].servesStale { looks[index].stale = nil }
        let found = ContinuousClock.now
        var answers = [Result<CacheAnswer, Failure>?](repeating: nil, count: requests.count)
        func answer(_ index: Int, _ entry: CacheEntry, _ tier: CacheTier, withoutShared: Bool, _ compute: Duration) {
            answers[index] = .success(
                CacheAnswer(
                    entry: entry,
                    tier: tier,
                    withoutShared: withoutShared,
                    lookup: found - start,
                    compute: compute
                )
            )
        }
        var pending: [Int] = []
        for index in requests.indices {
            if let (entry, tier) = looks[index].fresh {
                answer(index, entry, tier, withoutShared: false, .zero)
            } else {
                pending.append(index)
            }
        }
        while !pending.isEmpty {
            let standing = self.keeper.standing()
            var flights: [BulkFlight] = []
            var joins: [(index: Int, ticket: FlightTable.Ticket)] = []
            for index in pending {
                let place = requests[index].place
                let stripe = self.keeper.local.stripe(of: place.key)
                let note = LocalCache.Note(session: standing.session, stripe: stripe)
                let name = FlightTable.Name(key: place.key, field: place.field)
                // Who is cancelled cannot wait for another, and would ask again and again.
                switch self.flights.enter(name, note: note, isLive: standing.isLive && !Task.isCancelled) {
                case .fly(let ticket):
                    flights.append(BulkFlight(index: index, ticket: ticket, note: note, look: looks[index]))
                case .join(let ticket): joins.append((index, ticket))
                }
            }
            for (flight, landing) in await self.fly(flights, requests, compute: compute) {
                switch landing {
                case .success(let (entry, tier, withoutShared)):
                    answer(flight.index, entry, tier, withoutShared: withoutShared, ContinuousClock.now - found)
                case .failure(let error): answers[flight.index] = .failure(error)
                }
            }
            pending = []
            for (index, ticket) in joins {
                let landing = await self.flights.landing(of: ticket)
                if case .filled(let entry) = landing, entry.version >= requests[index].minimumVersion {
                    self.metrics.joined.increment()
                    answer(index, entry, .computed, withoutShared: false, ContinuousClock.now - found)
                } else {
                    self.metrics.joinsRejected.increment()
                    pending.append(index)
                }
            }
        }
        return answers.map { $0! }
    }
}
