package import RecommendationCore
import RecommendationEngine

/// Writes the neighbour lists of a model version as an import reads them.
package struct ModelExporter: Sendable {
    /// Bytes that are gathered before they are written.
    private static let chunk = 1 << 18

    private let data: any TrainingDataRepository
    private let models: any ModelRepository

    package init(data: any TrainingDataRepository, models: any ModelRepository) {
        self.data = data
        self.models = models
    }

    /// An edge a line, items in order of their numbers and the heaviest first. Items that are not in the catalogue any more
    /// are left out. Returns the number of lines.
    package func run(
        _ number: ModelVersion.Number,
        isJSON: Bool,
        tenant: Tenant.ID,
        write: @escaping @Sendable ([UInt8]) throws -> Void
    ) async throws -> Int {
        guard try await self.models.versions(tenant: tenant).contains(where: { $0.number == number }) else {
            throw RolloutError.unknown(number)
        }
        let snapshot = try SnapshotArtifact(decoding: try await self.models.artifact(number)).snapshot
        var names: [Item.Number: Item.ID] = [:]
        for numbered in try await self.data.items(tenant: tenant) { names[numbered.number] = numbered.item.id }
        var count = 0
        var writer = DocumentWriter()
        for item in 0..<Item.Number(snapshot.itemCount) {
            guard let name = names[item] else { continue }
            for neighbour in snapshot.collaborative.neighbours(of: item) {
                guard let other = names[neighbour.item] else { continue }
                if isJSON {
                    writer.begin()
                    writer.string(name.string, "item")
                    writer.string(other.string, "neighbour")
                    writer.number(neighbour.weight, "weight")
                    writer.end()
                } else {
                    writer.columns([name.string, other.string, neighbour.weight.description])
                }
                count += 1
            }
            guard writer.bytes.count >= Self.chunk else { continue }
            try write(writer.bytes)
            writer.removeAll()
        }
        if !writer.bytes.isEmpty { try write(writer.bytes) }
        return count
    }
}
