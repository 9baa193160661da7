import NIOCore
import RecommendationCore
import Serving

/// How much is said about why an item is in a list.
enum Explanation: String, CaseIterable, Sendable {
    case none, reason, full
}

extension JSONWriter {
    /// A recommendation as the contract has it, names in its order.
    static func document(_ recommendation: Recommendation, explain: Explanation) -> ByteBuffer {
        var json = JSONWriter(capacity: 1_024 + 384 * recommendation.items.count)
        json.beginDocument(recommendation)
        json.items(recommendation.items, explain: explain)
        json.endItems(recommendation)
        return json.buffer
    }

    /// The same document of an answer whose items are numbers.
    ///
    /// - Parameter places: What was chosen, in rank order.
    mutating func document(_ answer: ImmediateAnswer, _ places: [SlatePlace], explain: Explanation) {
        self.beginDocument(answer.recommendation)
        // All looked up before the first is written: each is a wait for memory, and they wait together.
        self.texts.removeAll(keepingCapacity: true)
        for place in places { self.texts.append(answer.state.catalog.texts[place.item]) }
        for index in places.indices {
            if index > 0 { self.raw(",") }
            self.item(places[index], self.texts[index], rank: index + 1, of: answer, explain: explain)
        }
        self.endItems(answer.recommendation)
    }

    private mutating func beginDocument(_ recommendation: Recommendation) {
        self.raw(#"{"recommendation_id":""#)
        self.raw(RecommendationID.length) { recommendation.id.write(to: $0) }
        self.raw(#"","user_id":"#)
        self.string(recommendation.user?.string)
        self.raw(",")
        self.beginItems(recommendation)
    }

    private mutating func item(_ item: RecommendedItem, explain: Explanation) {
        self.item(
            rank: item.rank,
            components: (item.collaborative, item.content, item.popularity),
            score: item.score,
            reason: item.reason,
            isTried: item.isTried,
            hasSeed: item.seed != nil,
            hasToken: !item.trackingToken.isEmpty,
            explain: explain,
            id: { json in json.contents(item.item.string) },
            token: { json in json.contents(item.trackingToken) },
            seedTitle: { json in json.contents(item.seed?.title ?? "") },
            seedID: { json in json.contents(item.seed?.item.string ?? "") }
        )
    }

    private mutating func item(
        _ place: SlatePlace,
        _ text: ItemTexts.Text?,
        rank: Int,
        of answer: ImmediateAnswer,
        explain: Explanation
    ) {
        self.item(
            rank: rank,
            components: (place.collaborative, place.content, place.popularity),
            score: place.score,
            reason: place.reason,
            isTried: place.isTried,
            hasSeed: place.seed != nil,
            explain: explain,
            id: { json in json.id(of: place.item, text, in: answer.state) },
            token: { json in
                json.raw(answer.signing.length) { answer.signing.write(rank: rank, item: place.item, to: $0) }
            },
            seedTitle: { json in if let seed = place.seed { json.title(of: seed, in: answer.state) } },
            seedID: { json in
                if let seed = place.seed { json.id(of: seed, answer.state.catalog.texts[seed], in: answer.state) }
            }
        )
    }

    private mutating func id(of item: Item.Number, _ text: ItemTexts.Text?, in state: TenantState) {
        if let text {
            self.raw(text.id)
        } else {
            self.contents(state.catalog[item]?.id.string ?? "")
        }
    }

    private mutating func title(of item: Item.Number, in state: TenantState) {
        if let text = state.catalog.texts[item] {
            self.raw(text.title)
        } else {
            self.contents(state.catalog[item]?.title ?? "")
        }
    }

    /// One place; the closures write contents of strings.
    @inline(__always)
    private mutating func item(
        rank: Int,
        components: (collaborative: Float, content: Float, popularity: Float),
        score: Float,
        reason: Reason,
        isTried: Bool,
        hasSeed: Bool,
        hasToken: Bool = true,
        explain: Explanation,
        id: (inout JSONWriter) -> Void,
        token: (inout JSONWriter) -> Void,
        seedTitle: (inout JSONWriter) -> Void,
        seedID: (inout JSONWriter) -> Void
    ) {
        self.raw(#"{"item_id":""#)
        id(&self)
        self.raw(#"","rank":"#)
        self.integer(rank)
        self.raw(#","score":"#)
        self.fixed(score)
        if hasToken {
            self.raw(#","tracking_token":""#)
            token(&self)
            self.raw("\"")
        }
        self.raw(#","sources":["#)
        self.sources(components, isTried: isTried)
        self.raw("]")
        if explain != .none {
            switch reason {
            case .becauseYouLiked: self.raw(#","explanation":{"code":"because_you_liked","text":""#)
            case .similarToHistory: self.raw(#","explanation":{"code":"similar_to_your_history","text":""#)
            case .popular: self.raw(#","explanation":{"code":"popular","text":""#)
            case .curated: self.raw(#","explanation":{"code":"curated","text":""#)
            case .trending: self.raw(#","explanation":{"code":"trending","text":""#)
            case .latest: self.raw(#","explanation":{"code":"latest","text":""#)
            case .similarToItem: self.raw(#","explanation":{"code":"similar_to_item","text":""#)
            }
            switch (reason, hasSeed) {
            case (.becauseYouLiked, true):
                self.raw("Because you liked ")
                seedTitle(&self)
            case (.becauseYouLiked, false): self.raw("Because of what you liked")
            case (.similarToHistory, true), (.similarToItem, true):
                self.raw("Similar to ")
                seedTitle(&self)
            case (.similarToHistory, false): self.raw("Similar to what you have seen")
            case (.popular, _): self.raw("Popular right now")
            case (.curated, _): self.raw("Selected for you")
            case (.trending, _): self.raw("Trending now")
            case (.latest, _): self.raw("New")
            case (.similarToItem, false): self.raw("Similar")
            }
            if hasSeed {
                self.raw(#"","seed_items":[""#)
                seedID(&self)
                self.raw(#""]"#)
            } else {
                self.raw(#"","seed_items":[]"#)
            }
            if explain == .full {
                self.raw(#","components":{"collaborative":"#)
                self.fixed(components.collaborative)
                self.raw(#","content":"#)
                self.fixed(components.content)
                self.raw(#","popularity":"#)
                self.fixed(components.popularity)
                self.raw("}")
            }
            self.raw("}")
        }
        self.raw("}")
    }

    /// That it is tried out, and the components that add to the score, the largest first; equal ones in their order.
    private mutating func sources(
        _ components: (collaborative: Float, content: Float, popularity: Float),
        isTried: Bool
    ) {
        if isTried { self.raw(#""exploration""#) }
        var order = (
            (source: Source.collaborative, value: components.collaborative),
            (source: Source.content, value: components.content),
            (source: Source.popularity, value: components.popularity)
        )
        if order.1.value > order.0.value { swap(&order.0, &order.1) }
        if order.2.value > order.1.value { swap(&order.1, &order.2) }
        if order.1.value > order.0.value { swap(&order.0, &order.1) }
        guard order.0.value > 0 else { return }
        if isTried { self.raw(",") }
        self.source(order.0.source)
        guard order.1.value > 0 else { return }
        self.raw(",")
        self.source(order.1.source)
        guard order.2.value > 0 else { return }
        self.raw(",")
        self.source(order.2.source)
    }

    private enum Source {
        case collaborative, content, popularity
    }

    private mutating func source(_ source: Source) {
        switch source {
        case .collaborative: self.raw(#""collaborative""#)
        case .content: self.raw(#""content""#)
        case .popularity: self.raw(#""popularity""#)
        }
    }

    mutating func items(_ items: [RecommendedItem], explain: Explanation) {
        var isFirst = true
        for item in items {
            if !isFirst { self.raw(",") }
            isFirst = false
            self.item(item, explain: explain)
        }
    }
}
