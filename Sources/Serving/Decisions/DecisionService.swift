package import RecommendationCore

/// What is told of a recommendation afterwards.
package struct ReplayedDecision: Sendable, Equatable {
    /// The stored document.
    package let document: String
    /// What its candidates and rules give now.
    package let order: [Decision.Place]
    /// Whether that is the order, and the scores, that were served.
    package let matches: Bool

    package init(document: String, order: [Decision.Place], matches: Bool) {
        self.document = document
        self.order = order
        self.matches = matches
    }
}

/// Tells what recommendations were made of.
package struct DecisionService: Sendable {
    private let repository: any DecisionRepository
    private let codec: DecisionCodec

    package init(repository: any DecisionRepository, codec: DecisionCodec) {
        self.repository = repository
        self.codec = codec
    }

    /// The record of a recommendation, made again; nil where there is none.
    package func decision(
        _ id: RecommendationID,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ReplayedDecision? {
        let stored = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.decision(id.bytes, tenant: tenant)
        }
        guard let stored else { return nil }
        guard let decision = self.codec.decode(stored.document) else { throw .failed("a decision cannot be read") }
        let order = decision.replayed()
        return ReplayedDecision(document: stored.document, order: order, matches: order == decision.order)
    }
}
