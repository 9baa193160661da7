import RecommendationCore
import RecommendationEngine
import Training

/// A model of a tenant, the active one where none is named, and everything that lists are made of, in memory.
struct OfflineData: Sendable {
    private(set) var version: ModelVersion
    private(set) var snapshot: Snapshot
    let set: TrainingSet
    let histories: Histories
    let names: ItemNames
    /// Where the events of a user are.
    let rows: [User.ID: Int]

    enum Failure: Error, CustomStringConvertible, Sendable {
        case noModel(Tenant.ID)
        case unknown(String)
        case corrupt(String)

        var description: String {
            switch self {
            case .noModel(let tenant): "tenant \(tenant) has no active model; run vireo train --activate"
            case .unknown(let model): "there is no model \(model); vireo models list names them"
            case .corrupt(let model): "the artifact of \(model) cannot be read, or is kept no more"
            }
        }
    }

    /// The same with another model.
    func with(_ number: ModelVersion.Number, _ session: StoreSession, tenant: Tenant.ID) async throws -> OfflineData {
        guard number != self.version.number else { return self }
        var data = self
        (data.version, data.snapshot) = try await Self.model(number, session, tenant: tenant)
        return data
    }

    private static func model(
        _ number: ModelVersion.Number?,
        _ session: StoreSession,
        tenant: Tenant.ID
    ) async throws -> (ModelVersion, Snapshot) {
        let versions = try await session.models.versions(tenant: tenant)
        let isWanted = { (version: ModelVersion) in number.map { $0 == version.number } ?? (version.state == .active) }
        guard let version = versions.first(where: isWanted) else {
            throw number.map { Failure.unknown(ModelVersion.name($0)) } ?? Failure.noModel(tenant)
        }
        do {
            let artifact = try await session.models.artifact(version.number)
            return (version, try SnapshotArtifact(decoding: artifact).snapshot)
        } catch is ArtifactError {
            throw Failure.corrupt(ModelVersion.name(version.number))
        } catch RepositoryError.corrupt {
            throw Failure.corrupt(ModelVersion.name(version.number))
        }
    }

    static func read(
        _ session: StoreSession,
        tenant: Tenant.ID,
        model number: ModelVersion.Number? = nil
    ) async throws -> OfflineData {
        let (version, snapshot) = try await Self.model(number, session, tenant: tenant)
        let set = try await TrainingSet.read(from: session.data, tenant: tenant)
        let ids = try await session.data.userIDs(tenant: tenant)
        var rows: [User.ID: Int] = [:]
        rows.reserveCapacity(set.users.count)
        for (row, number) in set.users.enumerated() {
            if let id = ids[number] { rows[id] = row }
        }
        return OfflineData(
            version: version,
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
