import Caching
import RecommendationCore
import RecommendationEngine

/// The final stage: from a pool or a list to a slate. It runs on every response, whatever that comes from, so that what was
/// denied, hidden or sold out since then is not shown.
struct SlateBuilder {
    let state: TenantState
    let signer: TokenSigner
    let now: Timestamp
    var faults = SeededFaults()
    var economy = Economy.none

    struct Slate {
        var items: [RecommendedItem]
        var filtered: FilteredCounts
    }

    /// Chooses from a pool: candidates in order, less those that a rule removes, with no category too often. Whether items the
    /// user has had are among them is the policy's to say where the request does not.
    ///
    /// - Parameter workspace: Takes the places.
    func choose(
        _ limit: Int,
        of pool: PoolView,
        filter: SlateFilter = .none,
        into workspace: SlateWorkspace
    ) -> FilteredCounts {
        let exploration = self.state.policy.exploration
        let hasNone = pool.tried.isEmpty || self.economy.exploration
        var room = hasNone ? 0 : exploration.places(of: limit, lot: pool.triedLot)
        while true {
            let filtered = self.choose(limit, of: pool, trying: room, filter: filter, into: workspace)
            guard room > 0 else { return filtered }
            // A list that came out shorter has less room.
            let tried = workspace.places.count { $0.isTried }
            guard tried > exploration.places(of: workspace.places.count).upperBound else { return filtered }
            room = tried - 1
        }
    }

    /// - Parameter room: How many candidates that nothing is known of yet are tried out.
    private func choose(
        _ limit: Int,
        of pool: PoolView,
        trying room: Int,
        filter: SlateFilter,
        into workspace: SlateWorkspace
    ) -> FilteredCounts {
        var filtered = FilteredCounts()
        let excludesSeen = filter.excludesSeen ?? self.state.policy.seenFilter
        let order = excludesSeen || pool.seenCount == 0 ? nil : pool.merged
        if order == nil { filtered.seen = pool.seenCount + pool.seenLeftOut }
        filtered.suppressed = pool.suppressedCount
        let admission = Admission(
            self.state,
            at: self.now,
            // By the catalogue as it is now: an item may have come into a suppressed category since.
            UserExclusions(seen: [], suppressed: self.state.catalog.suppressed(by: pool.suppressions)),
            filter,
            labels: pool.facts?.labels ?? [],
            faults: self.faults
        )
        let pins = admission.pins(within: limit, pool.facts, excludesSeen: excludesSeen)
        let hasBoosts = self.state.rules.hasBoosts
        // Out of the workspace while they are filled: every access to an object's property is checked.
        var allowed = workspace.takeAllowed()
        let tried = self.tried(room, of: pool, admission)
        let isUntouched = self.state.suspects.withUnsafeBufferPointer { suspects in
            // Nearly always nobody is kept out, and nothing is written down of who is not.
            if order == nil, tried.isEmpty, pins.isEmpty, !hasBoosts, admission.admitsAll(of: pool, suspects: suspects)
            {
                return true
            }
            for place in 0..<(order?.count ?? pool.unseenCount) {
                let candidate = order?[place] ?? place
                let item = pool.item(candidate)
                guard !tried.contains(where: { pool.item($0) == item }), !pins.contains(where: { $0.item == item })
                else {
                    continue
                }
                if admission.admits(item, suspects: suspects, &filtered) { allowed.append(candidate) }
            }
            return false
        }
        let admitted = workspace.isTracing ? (isUntouched ? Array(0..<pool.unseenCount) : allowed) : []
        if hasBoosts { self.boost(&allowed, of: pool, admission) }
        if !tried.isEmpty {
            let others = tried.enumerated().filter { _, candidate in !pins.contains { $0.item == pool.item(candidate) }
            }
            Arrangement.insert(
                others.map { (number: $0.offset, candidate: $0.element) },
                of: tried.count,
                into: &allowed,
                limit: limit
            )
        }
        let count = isUntouched ? pool.unseenCount : allowed.count
        var (diversity, chosen) = workspace.takeDiversity()
        if let choice = self.choice {
            let candidates = (0..<count).map { place in
                let candidate = isUntouched ? place : allowed[place]
                let components = Self.components(candidate, of: pool, admission, boosts: hasBoosts)
                return admission.candidate(pool.item(candidate), score: components.sum, of: choice)
            }
            filtered.diversity = choice.choose(limit - pins.count, of: candidates, into: &chosen)
            filtered.poolExhausted = chosen.count < limit - pins.count
        } else {
            self.diversify(&diversity, limit - pins.count, of: count, into: &chosen, &filtered) { place in
                admission.category(of: pool.item(isUntouched ? place : allowed[place]))
            }
        }
        var places = workspace.takePlaces()
        for place in chosen {
            let candidate = isUntouched ? place : allowed[place]
            places.append(Self.place(candidate, of: pool, admission, boosts: hasBoosts))
        }
        for pin in pins {
            let candidate = (0..<pool.unseenCount + pool.seenCount).first { pool.item($0) == pin.item }
            let place = candidate.map { Self.place($0, of: pool, admission, boosts: hasBoosts) }
            places.insert(place?.pinned ?? SlatePlace(pinned: pin.item), at: min(pin.place, places.count))
        }
        workspace.trace {
            let made = TracedChoice(
                limit: limit,
                order: order ?? Array(0..<pool.unseenCount),
                admitted: admitted,
                tried: tried,
                pins: pins,
                excludesSeen: excludesSeen,
                isBoosted: hasBoosts,
                marginalRelevance: self.choice?.lambda
            )
            return SlateTrace(made, of: pool, self.state.rules, admission, places)
        }
        workspace.put(allowed, diversity, chosen, places)
        return filtered
    }

    /// How a list is chosen where one cap of categories is not all.
    private var choice: DiverseChoice? {
        self.state.rules.compiled.choice.map { choice in
            self.economy.reranking
                ? DiverseChoice(category: choice.category, creator: choice.creator, lambda: nil) : choice
        }
    }

    /// Puts candidates in the order of their scores times the policy's boosts, equal ones as they were.
    private func boost(_ candidates: inout [Int], of pool: PoolView, _ admission: Admission) {
        let scores = candidates.map { Self.components($0, of: pool, admission, boosts: true).sum }
        candidates = Arrangement.order(of: scores).map { candidates[$0] }
    }

    /// Which candidates a list gives room to that nothing is known of yet: no more than the policy's share of it. A part of a
    /// place is a whole one for that part of the users, by a lot that their pool holds.
    private func tried(_ room: Int, of pool: PoolView, _ admission: Admission) -> [Int] {
        guard room > 0 else { return [] }
        var passedOver = FilteredCounts()
        return self.state.suspects.withUnsafeBufferPointer { suspects in
            Array(
                pool.tried.lazy.filter { admission.admits(pool.item($0), suspects: suspects, &passedOver) }
                    .prefix(room)
            )
        }
    }

    /// The slate of a pool, with its tokens.
    ///
    /// - Parameter workspace: Takes the places.
    func slate(
        of pool: PoolView,
        limit: Int,
        filter: SlateFilter = .none,
        id: RecommendationID,
        origin: SlateOrigin,
        in workspace: SlateWorkspace = SlateWorkspace()
    ) -> Slate {
        let filtered = self.choose(limit, of: pool, filter: filter, into: workspace)
        return Slate(items: self.items(workspace.places, id: id, origin: origin), filtered: filtered)
    }

    /// Chooses among admitted candidates by the policy's diversity.
    ///
    /// - Parameter category: Of a candidate by its place.
    @inline(__always)
    func diversify(
        _ diversity: inout Diversity,
        _ limit: Int,
        of count: Int,
        into chosen: inout [Int],
        _ filtered: inout FilteredCounts,
        category: (Int) -> UInt32
    ) {
        diversity.maximumPerWindow = self.state.policy.maximumPerWindow
        diversity.window = self.state.policy.window
        filtered.diversity = diversity.choose(limit, of: count, category: category, into: &chosen)
        filtered.poolExhausted = chosen.count < limit
    }

    /// What an answer holds of its places.
    ///
    /// - Parameters:
    ///   - id: Of the recommendation, for tokens; nil: the places carry none.
    ///   - shown: How many places of the same list came before.
    func items(
        _ places: [SlatePlace],
        id: RecommendationID?,
        origin: SlateOrigin,
        after shown: Int = 0
    ) -> [RecommendedItem] {
        let signing = id.map { self.signer.response($0, tenant: self.state.tenant, origin) }
        var items: [RecommendedItem] = []
        items.reserveCapacity(places.count)
        for place in places {
            guard let record = self.state.catalog[place.item] else { continue }
            let rank = shown + items.count + 1
            items.append(
                RecommendedItem(
                    item: record.id,
                    rank: rank,
                    score: place.score,
                    trackingToken: signing?.token(rank: rank, item: place.item) ?? "",
                    collaborative: place.collaborative,
                    content: place.content,
                    popularity: place.popularity,
                    reason: place.reason,
                    isTried: place.isTried,
                    seed: place.seed.flatMap { self.state.catalog[$0] }
                        .map { RecommendedItem.Seed(item: $0.id, title: $0.title) }
                )
            )
        }
        return items
    }

    /// The weighted components of a candidate, times what the policy boosts it by: what is below 0 is not boosted.
    @inline(__always)
    private static func components(
        _ candidate: Int,
        of pool: PoolView,
        _ admission: Admission,
        boosts: Bool
    ) -> ScoreComponents {
        let (collaborative, content, popularity) = pool.components(candidate)
        let components = ScoreComponents(collaborative: collaborative, content: content, popularity: popularity)
        return boosts ? components.boosted(by: admission.factor(pool.item(candidate))) : components
    }

    private static func place(
        _ candidate: Int,
        of pool: PoolView,
        _ admission: Admission,
        boosts: Bool
    ) -> SlatePlace {
        let isTried = pool.tried.contains(candidate)
        let components = Self.components(candidate, of: pool, admission, boosts: boosts && !isTried)
        return SlatePlace(
            pool.item(candidate),
            components,
            seed: pool.seed(candidate),
            isPersonal: pool.isPersonal,
            isTried: isTried,
            admission
        )
    }
}
