/// The steps beside the choice under caps that lead from candidates to the order they are shown in. The final stage goes by them,
/// and so does whoever makes a decision again.
package enum Arrangement {
    /// The places of some scores, the best first, equal ones as they were.
    package static func order(of scores: [Float]) -> [Int] {
        scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
    }

    /// Puts what is tried out among what is there by its score, each in the middle of its part of a list.
    ///
    /// - Parameters:
    ///   - count: How many are tried out; those that are not inserted leave their part to others.
    ///   - tried: What is inserted, each with its number among those.
    ///   - limit: The length of the list.
    package static func insert(
        _ tried: [(number: Int, candidate: Int)],
        of count: Int,
        into candidates: inout [Int],
        limit: Int
    ) {
        for (number, candidate) in tried {
            candidates.insert(candidate, at: min(candidates.count, (2 * number + 1) * limit / (2 * count)))
        }
    }
}
