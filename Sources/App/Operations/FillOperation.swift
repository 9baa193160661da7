package import RecommendationCore
import Training

/// Temporary: replaced when the importer lands.
package struct FillReport: Sendable {
    package var summary: String
    package func show(json: Bool) {}
}
package struct FillProgress: Sendable { package var line: String }
package struct FillOperation: Sendable {
    private let session: StoreSession
    package init(session: StoreSession) { self.session = session }
    package func importFile(path: String, tenant: Tenant.ID, progress: (FillProgress) -> Void) async throws -> FillReport {
        FillReport(summary: "none")
    }
    package func demoData(users: Int, items: Int, interactions: Int, seed: UInt64, tenant: Tenant.ID, progress: (FillProgress) -> Void) async throws -> FillReport {
        let repo = self.session.imports
        let all = (1...items).map { n in
            let s = String(repeating: "0", count: 6 - "\(n)".count) + "\(n)"
            return Item(id: Item.ID(trusted: "i\(s)"), title: "Item \(n)", categories: ["c\(n % 20)"])
        }
        _ = try await repo.store(items: all, tenant: tenant)
        var state: UInt64 = seed
        func next(_ k: Int) -> Int { state = state &* 6364136223846793005 &+ 1442695040888963407; return Int((state >> 33) % UInt64(k)) }
        let types: [EventType] = [.view, .click, .purchase, .like]
        var done = 0
        while done < interactions {
            var rows: [ImportedInteraction] = []
            for _ in 0..<min(20_000, interactions - done) {
                let u = next(users) + 1, cluster = u % 10
                let i = (next(items / 10) * next(100) / 100) * 10 + cluster + 1
                let us = String(repeating: "0", count: 6 - "\(u)".count) + "\(u)", isx = String(repeating: "0", count: 6 - "\(i)".count) + "\(i)"
                rows.append(ImportedInteraction(line: done + rows.count, user: User.ID(trusted: "u\(us)"), item: Item.ID(trusted: "i\(isx)"), type: types[next(4)], value: 1, occurredAt: Timestamp(seconds: 1_780_000_000 + Int64(next(90 * 86_400)))))
            }
            _ = try await repo.store(interactions: rows, alreadyRaised: [], tenant: tenant)
            done += rows.count
        }
        _ = try await repo.finish(tenant: tenant)
        return FillReport(summary: "\(items) items, \(interactions) interactions")
    }
}
