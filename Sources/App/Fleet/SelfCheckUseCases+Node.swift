import Caching
import HTTPAPI
import RecommendationCore
import Serving

extension SelfCheckUseCases {
    /// Those of a node.
    ///
    /// - Parameter check: nil: this node checks nothing; it answers those that do.
    init(_ check: SelfCheck?, node: String, keeper: CoherenceKeeper, denials: any DenialProbe, seal: NodeSeal) {
        self.init(
            report: { tenant in check.map { SelfCheckReport($0, tenant: tenant) } ?? .off },
            answer: { text, body in
                guard seal.isSealed(body, to: node, by: text) else { return .unsealed }
                guard let questions = SelfCheckDocuments.questions(body),
                    let answers = try? SelfCheckDocuments.encode(questions.map { keeper.answer($0, by: denials) })
                else { return .unreadable }
                return .answer(answers)
            }
        )
    }
}
