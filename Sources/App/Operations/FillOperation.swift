package import RecommendationCore
package import Training

/// `vireo import` and `vireo demo-data`: rows into the store, by the same chunks.
package struct FillOperation: Sendable {
    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    private var service: ImportService { ImportService(repository: self.session.imports, log: self.session.log) }

    package func importFile(
        path: String,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        try await self.service.run(path: path, format: .movieLens, tenant: tenant, progress: progress)
    }

    package func demoData(
        users: Int,
        items: Int,
        interactions: Int,
        seed: UInt64,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        let data = try DemoData(users: users, items: items, interactions: interactions, seed: seed)
        return try await self.service.run(data, tenant: tenant, progress: progress)
    }
}

extension ImportReport {
    /// One line for a person.
    package var summary: String {
        let items = self.itemsNew + self.itemsChanged + self.itemsUnchanged
        return "\(items) items (\(self.itemsNew) new, \(self.itemsChanged) changed), "
            + "\(self.interactionsStored) interactions stored, \(self.interactionsUnchanged) unchanged, "
            + "\(self.rejected.count) lines rejected, \((self.seconds * 10).rounded() / 10) s"
    }
}
