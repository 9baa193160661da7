package import RecommendationCore
import RecommendationEngine

/// One place of a slate as the final stage chose it, in numbers: what an answer writes of it is looked up when it is written.
package struct SlatePlace: Sendable {
    package let item: Item.Number
    /// The history item that explains the place, if one may be named.
    package let seed: Item.Number?
    package let reason: Reason
    /// Weighted components; they sum to the score.
    package let collaborative: Float
    package let content: Float
    package let popularity: Float

    package var score: Float { self.collaborative + self.content + self.popularity }
}

/// The buffers of the final stage, kept from slate to slate. Serves one caller at a time.
package final class SlateWorkspace {
    /// What was chosen last, in rank order.
    package private(set) var places: [SlatePlace] = []
    private var allowed: [Int] = []
    private var chosen: [Int] = []
    private var diversity = Diversity(maximumPerWindow: 0, window: 0)

    package init() {}

    fileprivate func takeAllowed() -> [Int] {
        var taken: [Int] = []
        swap(&taken, &self.allowed)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    fileprivate func takeDiversity() -> (Diversity, [Int]) {
        var taken = (Diversity(maximumPerWindow: 0, window: 0), [Int]())
        swap(&taken.0, &self.diversity)
        swap(&taken.1, &self.chosen)
        return taken
    }

    fileprivate func takePlaces() -> [SlatePlace] {
        var taken: [SlatePlace] = []
        swap(&taken, &self.places)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    fileprivate func put(_ allowed: [Int], _ diversity: Diversity, _ chosen: [Int], _ places: [SlatePlace]) {
        self.allowed = allowed
        self.diversity = diversity
        self.chosen = chosen
        self.places = places
    }
}

/// The final stage: from a pool to a slate. It runs on every response, whatever the pool came from, so that what was denied,
/// hidden or sold out since the pool was computed is not shown.
struct SlateBuilder {
    let state: TenantState
    let signer: TokenSigner
    let now: Timestamp

    struct Slate {
        var items: [RecommendedItem]
        var filtered: FilteredCounts
    }

    /// Chooses from a pool: candidates in order, less those that a rule removes, with no category too often. Whether items the
    /// user has had are among them is the policy's to say.
    ///
    /// - Parameter workspace: Takes the places.
    func choose(_ limit: Int, of pool: PoolView, into workspace: SlateWorkspace) -> FilteredCounts {
        var filtered = FilteredCounts()
        let order = self.state.policy.seenFilter || pool.seenCount == 0 ? nil : pool.merged
        if order == nil { filtered.seen = pool.seenCount }
        filtered.suppressed = pool.suppressedCount
        // By the catalogue as it is now: an item may have come into a suppressed category since.
        let suppressed = pool.suppressions.isEmpty ? nil : self.state.catalog.suppressed(by: pool.suppressions)
        // Out of the workspace while they are filled: every access to an object's property is checked.
        var allowed = workspace.takeAllowed()
        self.state.suspects.withUnsafeBufferPointer { suspects in
            for place in 0..<(order?.count ?? pool.unseenCount) {
                let candidate = order?[place] ?? place
                let item = pool.item(candidate)
                let word = Int(item >> 6)
                let isSuspect = word >= suspects.count || suspects[word] >> UInt64(item & 63) & 1 == 1
                if isSuspect, self.state.blocked[Int(item)] {
                    filtered.tombstone += 1
                } else if isSuspect, !self.state.catalog.isAvailable(item, at: self.now) {
                    filtered.unavailable += 1
                } else if let suppressed, suppressed[Int(item)] {
                    filtered.suppressed += 1
                } else {
                    allowed.append(candidate)
                }
            }
        }
        var (diversity, chosen) = workspace.takeDiversity()
        diversity.maximumPerWindow = self.state.policy.maximumPerWindow
        diversity.window = self.state.policy.window
        filtered.diversity = diversity.choose(
            limit,
            of: allowed.count,
            category: { self.state.catalog.category(of: pool.item(allowed[$0])) },
            into: &chosen
        )
        filtered.poolExhausted = chosen.count < limit
        var places = workspace.takePlaces()
        for index in chosen { places.append(self.place(allowed[index], of: pool, suppressed)) }
        workspace.put(allowed, diversity, chosen, places)
        return filtered
    }

    /// The slate of a pool, with its tokens.
    func slate(
        of pool: PoolView,
        limit: Int,
        id: RecommendationID,
        user: User.ID,
        model: ModelVersion.Number
    ) -> Slate {
        let workspace = SlateWorkspace()
        let filtered = self.choose(limit, of: pool, into: workspace)
        let signing = self.signer.response(id, model: model, tenant: self.state.tenant, user: user)
        var items: [RecommendedItem] = []
        items.reserveCapacity(workspace.places.count)
        for (index, place) in workspace.places.enumerated() {
            guard let record = self.state.catalog[place.item] else { continue }
            items.append(
                RecommendedItem(
                    item: record.id,
                    rank: index + 1,
                    score: place.score,
                    trackingToken: signing.token(rank: index + 1, item: place.item),
                    collaborative: place.collaborative,
                    content: place.content,
                    popularity: place.popularity,
                    reason: place.reason,
                    seed: place.seed.flatMap { self.state.catalog[$0] }
                        .map { RecommendedItem.Seed(item: $0.id, title: $0.title) }
                )
            )
        }
        return Slate(items: items, filtered: filtered)
    }

    /// The slate of a pool that has just been made.
    func slate(
        of pool: CandidatePool,
        limit: Int,
        id: RecommendationID,
        user: User.ID,
        model: ModelVersion.Number
    ) -> Slate {
        PoolCodec.encode(pool).withUnsafeBytes { bytes in
            guard let pool = PoolView(bytes) else { return Slate(items: [], filtered: FilteredCounts()) }
            return self.slate(of: pool, limit: limit, id: id, user: user, model: model)
        }
    }

    /// The slate of the policy's items of last resort.
    func staticSlate(limit: Int, id: RecommendationID, user: User.ID) -> Slate {
        let signing = self.signer.response(id, model: 0, tenant: self.state.tenant, user: user)
        var filtered = FilteredCounts()
        var items: [RecommendedItem] = []
        for itemID in self.state.policy.staticItems where items.count < limit {
            guard let number = self.state.catalog.number(of: itemID) else { continue }
            if self.state.blocked[Int(number)] {
                filtered.tombstone += 1
            } else if !self.state.catalog.isAvailable(number, at: self.now) {
                filtered.unavailable += 1
            } else {
                let rank = items.count + 1
                items.append(
                    RecommendedItem(
                        item: itemID,
                        rank: rank,
                        score: 0,
                        trackingToken: signing.token(rank: rank, item: number),
                        collaborative: 0,
                        content: 0,
                        popularity: 0,
                        reason: .curated,
                        seed: nil
                    )
                )
            }
        }
        filtered.poolExhausted = items.count < limit
        return Slate(items: items, filtered: filtered)
    }

    private func place(_ candidate: Int, of pool: PoolView, _ suppressed: Bitmap?) -> SlatePlace {
        let (collaborative, content, popularity) = pool.components(candidate)
        let reason: Reason =
            if pool.isPersonal, collaborative >= content, collaborative >= popularity {
                .becauseYouLiked
            } else if pool.isPersonal, content >= popularity {
                .similarToHistory
            } else {
                .popular
            }
        let seed =
            reason == .popular
            ? nil : pool.seed(candidate).flatMap { self.mayBeNamed($0, suppressed) ? $0 : nil }
        return SlatePlace(
            item: pool.item(candidate),
            seed: seed,
            // "Because you liked" names what; without a seed it is likeness.
            reason: reason == .becauseYouLiked && seed == nil ? .similarToHistory : reason,
            collaborative: collaborative,
            content: content,
            popularity: popularity
        )
    }

    /// Whether a history item may explain a place: one that is denied now, or suppressed, is not named.
    private func mayBeNamed(_ seed: Item.Number, _ suppressed: Bitmap?) -> Bool {
        !self.state.blocked[Int(seed)] && !(suppressed?[Int(seed)] ?? false) && self.state.catalog.holds(seed)
    }
}
