import RecommendationCore

/// What graphs of one data set are fitted from, and the fitting of them.
struct GraphFit {
    let input: FitInput
    let weighed: WeighedInteractions
    let pairs: PositivePairs
    private let degrees: [Float]
    private let threads: Int

    init(_ input: FitInput, threads: Int) throws(FitError) {
        guard (0...SnapshotBuilder.maximumItemCount).contains(input.itemCount) else {
            throw .itemCountOutOfRange(input.itemCount)
        }
        self.input = input
        self.weighed = try WeighedInteractions(input)
        self.pairs = PositivePairs(input, weighed: self.weighed)
        self.degrees = self.pairs.itemDegrees
        self.threads = threads
    }

    private var neighbours: Int { min(max(self.input.limits.neighbours, 0), 100) }

    /// By item number, and every item number in order of it.
    var popularity: (values: [Float], order: [Item.Number]) {
        let popularity = self.weighed.popularity(self.input)
        return (popularity, Popularity.order(popularity))
    }

    /// Items that somebody took to.
    var usedItemCount: Int { self.degrees.count { $0 > 0 } }

    /// The graph of one recipe.
    func graph(_ recipe: Recipe) throws(FitError) -> NeighbourGraph {
        try Self.graph(self.pairs, recipe, neighbours: self.neighbours, threads: self.threads)
    }

    static func graph(
        _ pairs: PositivePairs,
        _ recipe: Recipe,
        neighbours: Int,
        threads: Int
    ) throws(FitError) -> NeighbourGraph {
        if case .ease(let lambda) = recipe {
            return try RidgeFit.graph(pairs, lambda: lambda, neighbours: neighbours, threads: threads)
        }
        guard let plan = ProductPlan(recipe) else { return .empty(rowCount: pairs.itemCount) }
        let degrees = pairs.itemDegrees
        let chosen = ChosenNeighbours(pairs, selection: plan.selection, neighbours: neighbours, threads: threads)
        return WeightedEdges(chosen, base: plan.base, degrees: degrees, threads: threads)
            .graph(plan, degrees: degrees, threads: threads)
    }

    /// Hands out the graph of each recipe, with rows in no order. Recipes that follow each other and agree in a step share it.
    func graphs(of recipes: [Recipe], _ body: (Recipe, NeighbourGraph) throws(FitError) -> Void) throws(FitError) {
        var chosen: (selection: ProductPlan.Selection, neighbours: ChosenNeighbours)?
        var edges: (base: ProductPlan.Base, edges: WeightedEdges)?
        for recipe in recipes {
            guard let plan = ProductPlan(recipe) else {
                try body(recipe, try self.graph(recipe))
                continue
            }
            if chosen?.selection != plan.selection {
                edges = nil
                chosen = (
                    plan.selection,
                    ChosenNeighbours(
                        self.pairs,
                        selection: plan.selection,
                        neighbours: self.neighbours,
                        threads: self.threads
                    )
                )
            }
            guard let neighbours = chosen?.neighbours else { continue }
            if edges?.base != plan.base {
                edges = (
                    plan.base,
                    WeightedEdges(neighbours, base: plan.base, degrees: self.degrees, threads: self.threads)
                )
            }
            guard let edges = edges?.edges else { continue }
            try body(recipe, edges.graph(plan, degrees: self.degrees, sorts: false, threads: self.threads))
        }
    }
}
