import RecommendationCore
import RecommendationEngine
import Training

/// The active model of a tenant and everything that lists are made of, in memory.
struct OfflineData: Sendable {
    let version: ModelVersion
    let snapshot: Snapshot
    let set: TrainingSet
    let histories: Histories
    let names: ItemNames
    /// Where the events of a user are.
    let rows: [User.ID: Int]

    enum Failure: Error, CustomStringConvertible, Sendable {
        case noModel(Tenant.ID)
        case corrupt(String)

        var description: String {
            switch self {
            case .noModel(let tenant): "tenant \(tenant) has no active model; run vireo train --activate"
            case .corrupt(let model): "the artifact of \(model) cannot be read"
            }
        }
    }

    static func read(_ session: StoreSession, tenant: Tenant.ID) async throws -> OfflineData {
        let versions = try await session.models.versions(tenant: tenant)
        guard let active = versions.first(where: { $0.state == .active }) else { throw Failure.noModel(tenant) }
        let snapshot: Snapshot
        do {
            snapshot = try SnapshotArtifact(decoding: try await session.models.artifact(active.number)).snapshot
        } catch is ArtifactError {
            throw Failure.corrupt(ModelVersion.name(active.number))
        }
        let set = try await TrainingSet.read(from: session.data, tenant: tenant)
        let ids = try await session.data.userIDs(tenant: tenant)
        var rows: [User.ID: Int] = [:]
        rows.reserveCapacity(set.users.count)
        for (row, number) in set.users.enumerated() {
            if let id = ids[number] { rows[id] = row }
        }
        return OfflineData(
            version: active,
            snapshot: snapshot,
            set: set,
            histories: set.histories(),
            names: ItemNames(set),
            rows: rows
        )
    }
}

/// The ids of items by number, in one run of bytes.
struct ItemNames: Sendable {
    private var bytes: [UInt8] = []
    private var offsets = [0]

    init(_ set: TrainingSet) {
        for numbered in set.items {
            while self.offsets.count <= Int(numbered.number) { self.offsets.append(self.bytes.count) }
            self.bytes += numbered.item.id.string.utf8
            self.offsets.append(self.bytes.count)
        }
    }

    /// Writes the ids of items with blanks between them; numbers without an item are passed over.
    func append(_ items: [Item.Number], to line: inout [UInt8]) {
        var isFirst = true
        for item in items where Int(item) + 1 < self.offsets.count {
            let range = self.offsets[Int(item)]..<self.offsets[Int(item) + 1]
            guard !range.isEmpty else { continue }
            if !isFirst { line.append(UInt8(ascii: " ")) }
            isFirst = false
            line += self.bytes[range]
        }
    }
}
