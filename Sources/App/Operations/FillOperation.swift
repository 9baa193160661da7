package import RecommendationCore
package import Training

/// `vireo import`, `vireo export` and `vireo demo-data`: rows into the store, by the same chunks, and out of it.
package struct FillOperation: Sendable {
    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    private var service: ImportService { ImportService(repository: self.session.imports, log: self.session.log) }

    package func importFile(
        _ input: ImportInput,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ImportReport {
        try await self.service.run(input, tenant: tenant, progress: progress)
    }

    /// Reads all of it and stores nothing.
    package func validate(
        _ input: ImportInput,
        tenant: Tenant.ID,
        progress: (ImportProgress) -> Void
    ) async throws(ImportError) -> ValidationReport {
        try await self.service.validate(input, tenant: tenant, progress: progress)
    }

    /// Returns the number of lines; `write` gets many at a time and may block.
    package func export(
        _ kind: DocumentKind,
        tenant: Tenant.ID,
        write: @escaping @Sendable ([UInt8]) throws -> Void
    ) async throws -> Int {
        try await ExportService(repository: self.session.exports).run(kind, tenant: tenant, write: write)
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
    /// Whether the files held nothing at all.
    package var isEmpty: Bool {
        self.itemsNew + self.itemsChanged + self.itemsUnchanged + self.usersNew + self.usersChanged
            + self.usersUnchanged
            + self.interactionsStored + self.interactionsUnchanged + self.rejected.count == 0
    }

    /// One line for a person.
    package var summary: String {
        let items = self.itemsNew + self.itemsChanged + self.itemsUnchanged
        let users = self.usersNew + self.usersChanged + self.usersUnchanged
        var parts = ["\(items) items (\(self.itemsNew) new, \(self.itemsChanged) changed)"]
        if users > 0 { parts.append("\(users) users (\(self.usersNew) new, \(self.usersChanged) changed)") }
        parts.append("\(self.interactionsStored) interactions stored, \(self.interactionsUnchanged) unchanged")
        parts.append("\(self.rejected.count) lines rejected, \((self.seconds * 10).rounded() / 10) s")
        return parts.joined(separator: ", ")
    }
}
