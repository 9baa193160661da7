package import RecommendationCore
package import Serving

/// What nodes ask each other, and what came of it.
package struct SelfCheckUseCases: Sendable {
    /// The answer to a message from another node.
    package enum Reply: Sendable {
        case answer([UInt8])
        /// Nobody of this fleet sent it, to this node, just now.
        case unsealed
        /// It is sealed, and not of this version's form.
        case unreadable
    }

    /// What this node's check came to, for a tenant; nil: for the fleet.
    package var report: @Sendable (Tenant.ID?) -> SelfCheckReport
    /// Seal and body.
    package var answer: @Sendable (String, [UInt8]) -> Reply

    /// A node that checks nothing and answers nobody.
    package static let off = SelfCheckUseCases(report: { _ in .off }, answer: { _, _ in .unsealed })

    package init(
        report: @escaping @Sendable (Tenant.ID?) -> SelfCheckReport,
        answer: @escaping @Sendable (String, [UInt8]) -> Reply
    ) {
        self.report = report
        self.answer = answer
    }
}
