package import RecommendationCore

/// Why an item is in a list of a user, or why it is not.
package struct ItemExplanation: Sendable {
    /// The rule that keeps an item out; the first that says no, in the order of the final stage.
    package enum Removal: String, CaseIterable, Sendable {
        case tombstone, unavailable, policy, suppressed, seen, diversity
        /// Shown to the user as often as a policy allows.
        case frequencyCap = "frequency_cap"
        /// Others come before it.
        case limit
        /// Neither the model nor the catalogue brings it up for this user.
        case notACandidate = "not_a_candidate"
        /// Of a user who does not allow personalisation: it is not told which of the two.
        case withheld
    }

    /// What brought it up, and with which score.
    package struct Candidacy: Sendable, Equatable {
        /// Among all candidates by score alone, from 1.
        package let rank: Int
        package let score: Float
        package let collaborative: Float
        package let content: Float
        package let popularity: Float
        /// The history item that explains it, if one may be named.
        package let seed: Item.ID?
    }

    package let item: Item.ID
    /// Its place in the list, from 1; nil: it has none.
    package let rank: Int?
    /// nil: it is in the list.
    package let removedBy: Removal?
    /// nil: it is no candidate.
    package let candidacy: Candidacy?
    /// How many candidates there are.
    package let candidates: Int
    /// The list that this is about, without its items.
    package let list: Recommendation
}
