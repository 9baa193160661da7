import RecommendationCore

/// Demo data as a source of an import.
struct DemoSource: ImportSource {
    let extent: ImportExtent
    private static let file = "demo-data"
    private let data: DemoData
    // Made with the first batch: for ten million users that takes a second, which must not be on the caller's thread.
    private var catalogue: DemoCatalogue?
    private var interactions: DemoInteractions?
    private var itemsDone = 0
    private var isLast = false

    init(_ data: DemoData) {
        self.data = data
        self.extent = .rows(data.items + data.interactions)
    }

    mutating func next(limit: Int) -> ImportPart? {
        guard !self.isLast else { return nil }
        return self.itemsDone < self.data.items ? .items(self.nextItems()) : .interactions(self.nextInteractions(limit))
    }

    private mutating func nextItems() -> ImportBatch<ImportedItem> {
        let catalogue = self.readyCatalogue()
        let end = min(self.itemsDone + ImportPart.documents, catalogue.count)
        defer { self.itemsDone = end }
        return ImportBatch(
            file: Self.file,
            rows: catalogue[self.itemsDone..<end].map { ImportedItem($0) },
            isLast: end == catalogue.count
        )
    }

    private mutating func nextInteractions(_ limit: Int) -> ImportBatch<ImportedInteraction> {
        var interactions = self.interactions ?? DemoInteractions(self.data, catalogue: self.readyCatalogue())
        var batch = ImportBatch<ImportedInteraction>(file: Self.file)
        batch.rows.reserveCapacity(min(limit, self.data.interactions))
        while batch.rows.count < limit {
            guard let next = interactions.next() else {
                batch.isLast = true
                self.isLast = true
                break
            }
            batch.rows.append(next)
        }
        self.interactions = interactions
        return batch
    }

    private mutating func readyCatalogue() -> DemoCatalogue {
        if let catalogue = self.catalogue { return catalogue }
        let catalogue = DemoCatalogue(self.data)
        self.catalogue = catalogue
        return catalogue
    }
}
