package import RecommendationCore

/// Writes all documents of one kind as lines of JSON: every line in its one canonical form, in an order that the content
/// alone decides. An import of it into an empty tenant and an export again give the same bytes.
package struct ExportService: Sendable {
    /// Bytes that are gathered before they are written.
    private static let chunk = 1 << 18

    private let repository: any ExportRepository

    package init(repository: any ExportRepository) {
        self.repository = repository
    }

    /// Returns the number of lines. `write` is called with many lines at a time and may block; what it throws comes out.
    package func run(
        _ kind: DocumentKind,
        tenant: Tenant.ID,
        write: @escaping @Sendable ([UInt8]) throws -> Void
    ) async throws -> Int {
        let lines = LineBuffer(limit: Self.chunk, write: write)
        let count =
            switch kind {
            case .items:
                try await self.repository.items(tenant: tenant) { item in
                    try lines.add { ItemDocument.write(item, to: &$0) }
                }
            case .users:
                try await self.repository.users(tenant: tenant) { user in
                    try lines.add { UserDocument.write(user, to: &$0) }
                }
            case .feedback:
                try await self.repository.interactions(tenant: tenant) { interaction in
                    try lines.add { FeedbackDocument.write(interaction, to: &$0) }
                }
            }
        try lines.flush()
        return count
    }
}
