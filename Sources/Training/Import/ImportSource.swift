import Dispatch
import RecommendationCore
import Synchronization

/// Where an import's rows come from: all items, then all interactions, in order.
protocol ImportSource: ~Copyable, Sendable {
    var extent: ImportExtent { get }
    /// What rejected interactions are reported under.
    var interactionFile: String { get }

    /// Up to `limit` rows, rejected ones counted.
    mutating func nextItems(limit: Int) throws(ImportError) -> ImportBatch<Item>
    mutating func nextInteractions(limit: Int) throws(ImportError) -> ImportBatch<ImportedInteraction>
}

/// How much there is to import, as far as that is known before.
enum ImportExtent: Equatable, Sendable {
    case bytes(Int)
    case rows(Int)
}

/// Some rows of a source.
struct ImportBatch<Row: Sendable>: Sendable {
    var rows: [Row] = []
    var rejected = RejectedLines()
    /// Bytes of the source read up to here; 0 where it is no file.
    var bytes = 0
    /// Whether the source has no more of these.
    var isLast = false
}

/// A source that is read on Dispatch's threads: reading blocks and parsing takes long, neither belongs on the cooperative pool.
final class OffPoolSource<Source: ImportSource & ~Copyable>: Sendable {
    // Uncontended: an import asks for one batch at a time.
    private let source: Mutex<Source>

    init(_ source: consuming sending Source) {
        self.source = Mutex(source)
    }

    func nextItems(limit: Int) async throws(ImportError) -> ImportBatch<Item> {
        try await self.offPool { (source) throws(ImportError) in try source.nextItems(limit: limit) }
    }

    func nextInteractions(limit: Int) async throws(ImportError) -> ImportBatch<ImportedInteraction> {
        try await self.offPool { (source) throws(ImportError) in try source.nextInteractions(limit: limit) }
    }

    private func offPool<Row: Sendable>(
        _ body: @escaping @Sendable (inout Source) throws(ImportError) -> ImportBatch<Row>
    ) async throws(ImportError) -> ImportBatch<Row> {
        let outcome: Result<ImportBatch<Row>, ImportError> = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async {
                let outcome = self.source.withLock { source -> Result<ImportBatch<Row>, ImportError> in
                    do throws(ImportError) { return .success(try body(&source)) } catch { return .failure(error) }
                }
                continuation.resume(returning: outcome)
            }
        }
        return try outcome.get()
    }
}
