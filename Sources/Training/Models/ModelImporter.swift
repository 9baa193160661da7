import Dispatch
package import RecommendationCore
package import RecommendationEngine

/// Makes a model version of neighbours or factors that were made elsewhere.
///
/// Popularity, content and trends are fitted from the store as for any model. The version is registered as ready in one step,
/// or nothing is.
package struct ModelImporter: Sendable {
    /// What is brought.
    package enum Source: Sendable, Equatable {
        /// An edge a line: columns, or documents.
        case neighbours(path: String, isJSON: Bool)
        /// A `.npy` matrix, a row an item, and a file with the item of each row, a line each.
        case factors(path: String, ids: String, FactorMatrix.Similarity)

        /// As what it is registered.
        var recipe: String {
            switch self {
            case .neighbours: ModelVersion.importedPrefix + "neighbours"
            case .factors(_, _, let similarity): ModelVersion.importedPrefix + similarity.rawValue
            }
        }
    }

    package struct Order: Sendable {
        package var source: Source
        /// Neighbours of an item, at most.
        package var neighbours: Int
        /// Whether one rejected line is enough to store nothing.
        package var isStrict: Bool
        /// Whether nothing is stored at all.
        package var onlyValidates: Bool

        package init(source: Source, neighbours: Int = 100, isStrict: Bool = false, onlyValidates: Bool = false) {
            self.source = source
            self.neighbours = neighbours
            self.isStrict = isStrict
            self.onlyValidates = onlyValidates
        }
    }

    package struct Report: Sendable {
        /// nil: only validated.
        package var version: ModelVersion?
        /// Lines, or rows of factors.
        package var lines: Int
        package var rejected: RejectedLines
        /// Different ids that the catalogue does not have.
        package var unknownItems: Int
        package var edges: Int
        /// Items with at least one neighbour.
        package var items: Int
    }

    /// The most neighbours of an item.
    package static let maximumNeighbours = GivenNeighbours.maximumNeighbours

    private let data: any TrainingDataRepository
    private let models: any ModelRepository
    private let kept: Int
    private let threads: Int
    private let wallClock: @Sendable () -> Timestamp

    package init(
        data: any TrainingDataRepository,
        models: any ModelRepository,
        kept: Int,
        threads: Int,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.data = data
        self.models = models
        self.kept = kept
        self.threads = threads
        self.wallClock = wallClock
    }

    /// `dot` or `cosine`; nil for another name.
    package static func similarity(named name: String) -> FactorMatrix.Similarity? {
        FactorMatrix.Similarity(rawValue: name)
    }

    /// - Parameter mark: What a training of the same data and policy would leave, so that no schedule thinks it out of date.
    package func run(
        _ order: Order,
        policy: Policy,
        mark: String,
        tenant: Tenant.ID
    ) async throws(ModelImportError) -> Report {
        let set: TrainingSet
        do {
            set = try await TrainingSet.read(from: self.data, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        guard set.itemCount > 0 else { throw .emptyCatalogue }
        let (threads, builtAt) = (self.threads, self.wallClock())
        let (made, snapshot, artifact) = try await Self.offPool { () throws(ModelImportError) in
            let made = try Made(order, set, threads: threads)
            if order.isStrict, made.rejected.count > 0 { throw .rejected(made.rejected.count) }
            guard made.graph.edgeCount > 0 else { throw .nothingLeft }
            do throws(FitError) {
                let snapshot = try SnapshotBuilder.snapshot(
                    set.fitInput(builtAt: builtAt, policy: policy),
                    collaborative: made.graph,
                    threads: threads
                )
                return (made, snapshot, SnapshotArtifact(snapshot).encode())
            } catch {
                throw .fit(error)
            }
        }
        var report = Report(
            lines: made.lines,
            rejected: made.rejected,
            unknownItems: made.unknown,
            edges: made.graph.edgeCount,
            items: made.graph.linkedRowCount
        )
        if order.onlyValidates { return report }
        let window = set.window
        var version = ModelVersion(
            number: 0,
            tenant: tenant,
            state: .ready,
            recipe: order.source.recipe,
            parameters: made.parameters,
            builtAt: builtAt,
            firstEvent: window?.lowerBound,
            lastEvent: window?.upperBound,
            interactions: Int64(snapshot.counts.interactions),
            users: Int64(snapshot.counts.users),
            items: Int64(set.items.count),
            bytes: Int64(artifact.count),
            checksum: SnapshotArtifact.checksum(of: artifact),
            metrics: [:]
        )
        do {
            version.number = try await self.models.store(version, artifact: artifact, dataMark: mark)
            try await self.models.prune(keeping: self.kept, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        report.version = version
        return report
    }

    /// Runs long synchronous work on a thread of its own, off the cooperative pool.
    private static func offPool<Result: Sendable>(
        _ body: @escaping @Sendable () throws(ModelImportError) -> Result
    ) async throws(ModelImportError) -> Result {
        let outcome: Swift.Result<Result, ModelImportError> = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async {
                do throws(ModelImportError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try outcome.get()
    }
}

/// What the files came to.
private struct Made: Sendable {
    var graph: NeighbourGraph
    var lines: Int
    var rejected: RejectedLines
    var unknown: Int
    var parameters: [String: Double]

    init(_ order: ModelImporter.Order, _ set: TrainingSet, threads: Int) throws(ModelImportError) {
        var numbers: [Item.ID: Item.Number] = [:]
        numbers.reserveCapacity(set.items.count)
        for numbered in set.items { numbers[numbered.item.id] = numbered.number }
        self.parameters = ["neighbours": Double(order.neighbours)]
        switch order.source {
        case .neighbours(let path, let isJSON):
            let read: NeighbourFile.Result
            do throws(ImportError) {
                read = try NeighbourFile.read(path, isJSON: isJSON, numbers: numbers)
            } catch {
                throw .file(error)
            }
            self.graph = read.edges.graph(itemCount: set.itemCount, limit: order.neighbours)
            (self.lines, self.rejected, self.unknown) = (read.lines, read.rejected, read.unknown.count)
        case .factors(let path, let ids, let similarity):
            let read = try FactorFile.read(path, ids: ids, numbers: numbers)
            self.graph = read.matrix.neighbours(order.neighbours, by: similarity, threads: threads)
                .graph(itemCount: set.itemCount, limit: order.neighbours)
            (self.lines, self.rejected, self.unknown) = (read.rows, read.rejected, read.unknown)
            self.parameters["factors"] = Double(read.matrix.width)
        }
    }
}
