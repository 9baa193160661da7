import Dispatch
import RecommendationCore
import Synchronization

/// Where an import's rows come from, part after part, in order.
protocol ImportSource: ~Copyable, Sendable {
    var extent: ImportExtent { get }

    /// The next part of up to `limit` rows, rejected ones counted; nil after the last.
    mutating func next(limit: Int) throws(ImportError) -> ImportPart?
}

/// How much there is to import, as far as that is known before.
enum ImportExtent: Equatable, Sendable {
    case bytes(Int)
    case rows(Int)
}

/// Some rows of a source, all of one kind, but for items that interactions bring with them.
enum ImportPart: Sendable {
    case items(ImportBatch<ImportedItem>)
    case users(ImportBatch<ImportedUser>)
    case interactions(ImportBatch<ImportedInteraction>)

    /// The most rows of documents that are stored at once; interactions are paced.
    static let documents = 5_000
    /// The most bytes that are read for one part, whatever its rows.
    static let bytes = 16 << 20
}

/// Some rows of one kind.
struct ImportBatch<Row: Sendable>: Sendable {
    /// What its lines are reported under.
    var file: String
    var rows: [Row] = []
    /// Items that the rows name and that are made where the catalogue has none.
    var newItems: [Item] = []
    var rejected = RejectedLines()
    /// Bytes of the source read up to here; 0 where it is no file.
    var bytes = 0
    /// Whether the source has no more of these.
    var isLast = false
}

/// A source that is read on Dispatch's threads: reading blocks and parsing takes long, neither belongs on the cooperative pool.
final class OffPoolSource<Source: ImportSource & ~Copyable>: Sendable {
    // Uncontended: an import asks for one part at a time.
    private let source: Mutex<Source>

    init(_ source: consuming sending Source) {
        self.source = Mutex(source)
    }

    func next(limit: Int) async -> Result<ImportPart?, ImportError> {
        await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async {
                let outcome = self.source.withLock { source -> Result<ImportPart?, ImportError> in
                    do throws(ImportError) { return .success(try source.next(limit: limit)) } catch {
                        return .failure(error)
                    }
                }
                continuation.resume(returning: outcome)
            }
        }
    }
}
