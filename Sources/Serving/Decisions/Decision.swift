package import RecommendationCore

/// The candidates of one recommendation, the rules that put them in order, and the order: enough to make it again
/// (``replayed()``).
package struct Decision: Sendable, Equatable {
    /// One that could have been shown.
    package struct Candidate: Sendable, Equatable {
        package enum Standing: Sendable, Equatable {
            /// It is there by its score.
            case scored
            /// It is tried out; which of those that are.
            case tried(number: Int)
            /// The policy gives it this place, from 0.
            case pinned(place: Int)
        }

        package var item: Item.ID
        package var standing: Standing
        /// Before boosts.
        package var score: Float
        package var collaborative: Float
        package var content: Float
        package var popularity: Float
        /// What boosts multiply its score by.
        package var factor: Float = 1
        /// What caps of categories count it under; nil: none does.
        package var category: ItemCategory.ID?
        package var creator: String?
        /// What makes it like others; only where likeness counts.
        package var features: [UInt64] = []
        /// The history item that explains it, if it may be named.
        package var seed: Item.ID?
        /// The rule that keeps it out; nil: none did.
        package var removedBy: ItemExplanation.Removal?

        package init(
            item: Item.ID,
            standing: Standing,
            score: Float,
            collaborative: Float,
            content: Float,
            popularity: Float
        ) {
            self.item = item
            self.standing = standing
            self.score = score
            self.collaborative = collaborative
            self.content = content
            self.popularity = popularity
        }
    }

    /// What was shown before on earlier pages, as far as caps look back.
    package struct Earlier: Sendable, Equatable {
        package var category: ItemCategory.ID?
        package var creator: String?

        package init(category: ItemCategory.ID?, creator: String?) {
            self.category = category
            self.creator = creator
        }
    }

    /// A place of the list.
    package struct Place: Sendable, Equatable {
        package var item: Item.ID
        package var score: Float

        package init(item: Item.ID, score: Float) {
            self.item = item
            self.score = score
        }
    }

    /// How candidates are put in order.
    package struct Rules: Sendable, Equatable {
        package var limit: Int
        package var categoryCap: Policy.DiversityCap?
        package var creatorCap: Policy.DiversityCap?
        /// As ``Policy/marginalRelevance``.
        package var marginalRelevance: Float?
        /// Whether the order is that of scores times boosts.
        package var isBoosted: Bool
        /// How many are tried out, those among them that have a place by the policy.
        package var tried: Int
        package var excludesSeen: Bool

        package init(
            limit: Int,
            categoryCap: Policy.DiversityCap?,
            creatorCap: Policy.DiversityCap?,
            marginalRelevance: Float?,
            isBoosted: Bool,
            tried: Int,
            excludesSeen: Bool
        ) {
            self.limit = limit
            self.categoryCap = categoryCap
            self.creatorCap = creatorCap
            self.marginalRelevance = marginalRelevance
            self.isBoosted = isBoosted
            self.tried = tried
            self.excludesSeen = excludesSeen
        }
    }

    package var rules: Rules
    /// In rank order; empty but on later pages.
    package var earlier: [Earlier]
    /// In the order that they were looked at; those that are tried out or have a place by the policy come last.
    package var candidates: [Candidate]
    package var order: [Place]

    package init(rules: Rules, earlier: [Earlier], candidates: [Candidate], order: [Place]) {
        self.rules = rules
        self.earlier = earlier
        self.candidates = candidates
        self.order = order
    }
}

/// A decision with all that is told of it.
package struct DecisionRecord: Sendable {
    /// What a list is of.
    package enum List: String, CaseIterable, Sendable {
        case own, page, session, similar, popular, trending, latest
    }

    package let list: List
    /// Without its items.
    package let answer: Recommendation
    /// The control log as far as the node had applied it.
    package let epoch: Int64
    package let filters: RequestFilters
    package let decision: Decision
}

/// Between decisions and the documents they are stored as, whose format is the API's.
package struct DecisionCodec: Sendable {
    package let encode: @Sendable (DecisionRecord) -> String
    /// The decision of a document; nil where it is none that this program can read.
    package let decode: @Sendable (String) -> Decision?

    package init(
        encode: @escaping @Sendable (DecisionRecord) -> String,
        decode: @escaping @Sendable (String) -> Decision?
    ) {
        self.encode = encode
        self.decode = decode
    }
}
