import RecommendationCore

/// How a candidate's sums and popularity become components.
struct ComponentFactors {
    let collaborative: Float
    let content: Float
    let popularity: Float
    /// Components do not fall below these.
    let leastCollaborative: Float
    let leastContent: Float

    /// A cold user's: popularity alone, with weight 1 where the policy gives it none.
    static func cold(popularity: Float) -> ComponentFactors {
        ComponentFactors(
            collaborative: 0,
            content: 0,
            popularity: popularity > 0 ? popularity : 1,
            leastCollaborative: 0,
            leastContent: 0
        )
    }

    @inline(__always)
    func components(
        _ candidate: CandidateColumns.Candidate
    ) -> (collaborative: Float, content: Float, popularity: Float) {
        (
            max(candidate.collaborative * self.collaborative, self.leastCollaborative),
            max(candidate.content * self.content, self.leastContent),
            candidate.popularity * self.popularity
        )
    }

    @inline(__always)
    func score(_ candidate: CandidateColumns.Candidate) -> Float {
        let (collaborative, content, popularity) = self.components(candidate)
        return collaborative + content + popularity
    }
}
