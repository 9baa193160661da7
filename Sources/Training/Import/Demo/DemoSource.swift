import RecommendationCore

/// Demo data as a source of an import.
struct DemoSource: ImportSource {
    let extent: ImportExtent
    let interactionFile = "demo-data"
    private let data: DemoData
    // Made with the first batch: for ten million users that takes a second, which must not be on the caller's thread.
    private var catalogue: DemoCatalogue?
    private var interactions: DemoInteractions?
    private var itemsDone = 0

    init(_ data: DemoData) {
        self.data = data
        self.extent = .rows(data.items + data.interactions)
    }

    mutating func nextItems(limit: Int) -> ImportBatch<Item> {
        let catalogue = self.readyCatalogue()
        let end = min(self.itemsDone + limit, catalogue.count)
        defer { self.itemsDone = end }
        return ImportBatch(rows: Array(catalogue[self.itemsDone..<end]), isLast: end == catalogue.count)
    }

    mutating func nextInteractions(limit: Int) -> ImportBatch<ImportedInteraction> {
        var interactions = self.interactions ?? DemoInteractions(self.data, catalogue: self.readyCatalogue())
        var batch = ImportBatch<ImportedInteraction>()
        batch.rows.reserveCapacity(min(limit, self.data.interactions))
        while batch.rows.count < limit {
            guard let next = interactions.next() else {
                batch.isLast = true
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
