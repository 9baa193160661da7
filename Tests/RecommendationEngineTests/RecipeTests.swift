import Glibc
import RecommendationCore
import Testing

@testable import RecommendationEngine

/// Distinct pairs of users and items as dense matrices in double precision: what graphs must agree with.
private struct DensePairs {
    let users: Int
    let items: Int
    /// Which users took to an item.
    private let has: [[Bool]]

    init(_ rows: [Row], users: Int, items: Int) {
        var has = [[Bool]](repeating: [Bool](repeating: false, count: items), count: users)
        for row in rows { has[Int(row.user)][Int(row.item)] = true }
        self.users = users
        self.items = items
        self.has = has
    }

    func degree(ofUser user: Int) -> Double { Double(self.has[user].count { $0 }) }
    func degree(ofItem item: Int) -> Double { Double(self.has.count { $0[item] }) }

    /// Σ over the users of both of a factor of the user.
    func shared(_ item: Int, _ other: Int, _ factor: (Double) -> Double) -> Double {
        (0..<self.users).reduce(0) { sum, user in
            self.has[user][item] && self.has[user][other] ? sum + factor(self.degree(ofUser: user)) : sum
        }
    }

    /// What a recipe chooses neighbours by, and what they weigh before sums are divided out; 0 for what is no pair.
    func scores(_ recipe: Recipe) -> (choice: [[Double]], weight: [[Double]]) {
        let degrees = (0..<self.items).map(self.degree(ofItem:))
        let used = degrees.filter { $0 > 0 }
        let mean = used.reduce(0, +) / Double(max(used.count, 1))
        let zero = [[Double]](repeating: [Double](repeating: 0, count: self.items), count: self.items)
        var (choice, weight) = (zero, zero)
        for i in 0..<self.items {
            for j in 0..<self.items where i != j && self.shared(i, j, { _ in 1 }) > 0 {
                let (di, dj) = (degrees[i], degrees[j])
                let count = self.shared(i, j) { _ in 1 }
                switch recipe {
                case .popularity, .ease: break
                case .jaccard:
                    weight[i][j] = count / (di + dj - count)
                    choice[i][j] = weight[i][j]
                case .cosine:
                    weight[i][j] = count / (di * dj).squareRoot()
                    choice[i][j] = weight[i][j]
                case .bm25(let k1, let b):
                    func saturation(_ degree: Double) -> Double { (k1 + 1) / (k1 * (1 - b + b * degree / mean) + 1) }
                    let rare = self.shared(i, j) { user in
                        pow(log(1 + (Double(self.items) - user + 0.5) / (user + 0.5)), 2)
                    }
                    weight[i][j] = rare * saturation(di) * saturation(dj)
                    choice[i][j] = rare * saturation(dj)
                case .p3alpha(let alpha):
                    weight[i][j] = self.shared(i, j) { pow($0, -alpha) } * pow(di, -alpha)
                    choice[i][j] = weight[i][j]
                case .rp3beta(let alpha, let beta):
                    weight[i][j] = self.shared(i, j) { pow($0, -alpha) } * pow(di, -alpha) * pow(dj, -beta)
                    choice[i][j] = weight[i][j]
                case .product(let product):
                    let shared = self.shared(i, j) { pow($0, -product.user) }
                    choice[i][j] = shared * pow(dj, -product.choice)
                    weight[i][j] = pow(shared, product.power) * pow(di, -product.item) * pow(dj, -product.neighbour)
                }
            }
        }
        return (choice, weight)
    }

    /// The regression's matrix by elimination.
    func ridge(_ lambda: Double) -> [[Double]] {
        let size = self.items
        var left = (0..<size).map { i in
            (0..<size).map { j in self.shared(i, j) { _ in 1 } + (i == j ? lambda : 0) }
        }
        var right = (0..<size).map { i in (0..<size).map { $0 == i ? 1.0 : 0 } }
        for step in 0..<size {
            let pivot = left[step][step]
            for column in 0..<size {
                left[step][column] /= pivot
                right[step][column] /= pivot
            }
            for row in 0..<size where row != step && left[row][step] != 0 {
                let factor = left[row][step]
                for column in 0..<size {
                    left[row][column] -= factor * left[step][column]
                    right[row][column] -= factor * right[step][column]
                }
            }
        }
        return (0..<size).map { i in (0..<size).map { j in i == j ? 0 : -right[i][j] / right[j][j] } }
    }
}

private let products: [Recipe] =
    Recipe.named.filter { ProductPlan($0) != nil } + [
        .product(
            Recipe.Product(
                user: 0.82,
                choice: 0.31,
                power: 1.47,
                item: 1.51,
                neighbour: 0.05,
                rowSum: 0.24,
                columnSum: 0
            )
        ),
        .product(
            Recipe.Product(
                user: 0.35,
                choice: 0.34,
                power: 1.35,
                item: 0.9,
                neighbour: 0.25,
                rowSum: 0.1,
                columnSum: 0.35
            )
        ),
    ]

@Suite struct RecipeTests {
    private func rows(_ seed: UInt64, users: Int, items: Int, count: Int) -> [Row] {
        var generator = SeededGenerator(seed)
        return randomRows(count, users: users, items: items, using: &generator).map {
            Row(user: $0.user, item: $0.item)
        }
    }

    private func graph(_ rows: [Row], items: Int, _ recipe: Recipe, neighbours: Int, threads: Int = 2) throws
        -> NeighbourGraph
    {
        var input = FitInput(interactions: InteractionColumns(rows), itemCount: items, builtAt: someTime)
        input.limits.neighbours = neighbours
        return try SnapshotBuilder.fit(input, recipe: recipe, threads: threads).collaborative
    }

    @Test("a graph is what the dense matrices give", arguments: products, [5, 20, 100])
    func dense(recipe: Recipe, neighbours: Int) throws {
        let rows = self.rows(7, users: 40, items: 60, count: 700)
        let graph = try self.graph(rows, items: 60, recipe, neighbours: neighbours)
        let (choice, raw) = DensePairs(rows, users: 40, items: 60).scores(recipe)
        let found = (0..<60).map { graph.neighbours(of: Item.Number($0)) }
        for item in 0..<60 {
            // Which of equals is kept is a matter of rounding; that none is kept before a better one is not.
            let kept = Set(found[item].map { Int($0.item) })
            let pairs = (0..<60).filter { choice[item][$0] > 0 }
            #expect(kept.count == min(neighbours, pairs.count) && kept.isSubset(of: pairs))
            let least = kept.map { choice[item][$0] }.min() ?? 0
            for other in pairs where !kept.contains(other) { #expect(choice[item][other] <= least * (1 + 1e-5)) }
        }
        var (rowSum, columnSum) = (0.0, 0.0)
        if case .product(let product) = recipe { (rowSum, columnSum) = (product.rowSum, product.columnSum) }
        var weight = raw
        for item in 0..<60 {
            let sum = found[item].reduce(0) { $0 + raw[item][Int($1.item)] }
            for neighbour in found[item] { weight[item][Int(neighbour.item)] /= pow(sum, rowSum) }
        }
        var columns = [Double](repeating: 0, count: 60)
        for item in 0..<60 {
            for neighbour in found[item] { columns[Int(neighbour.item)] += weight[item][Int(neighbour.item)] }
        }
        // All of a graph may have been multiplied by one power of two.
        var scale: Double?
        for item in 0..<60 {
            for neighbour in found[item] {
                let other = Int(neighbour.item)
                let expected = weight[item][other] / pow(columns[other], columnSum)
                if scale == nil { scale = exp2(log2(Double(neighbour.weight) / expected).rounded()) }
                let wanted = expected * (scale ?? 1)
                #expect(abs(Double(neighbour.weight) - wanted) <= wanted / 1_024 + exp2(-24))
            }
            for (heavier, lighter) in zip(found[item], found[item].dropFirst()) {
                let isInOrder = (heavier.weight, lighter.item) > (lighter.weight, heavier.item)
                #expect(isInOrder)
            }
        }
    }

    @Test("a regression is what elimination gives, with signs", arguments: [1.0, 200])
    func ridge(lambda: Double) throws {
        // More than two tiles.
        let rows = self.rows(3, users: 90, items: 150, count: 2_500)
        let graph = try self.graph(rows, items: 150, .ease(lambda: lambda), neighbours: 40)
        let pairs = DensePairs(rows, users: 90, items: 150)
        let expected = pairs.ridge(lambda)
        var scale: Double?
        var negative = 0
        for item in 0..<150 {
            let found = graph.neighbours(of: Item.Number(item))
            // Nobody took to some of the items.
            #expect(found.count == (pairs.degree(ofItem: item) > 0 ? 40 : 0))
            guard !found.isEmpty else { continue }
            let kept = Set(found.map { Int($0.item) })
            let least = kept.map { expected[item][$0].magnitude }.min() ?? 0
            for other in 0..<150 where !kept.contains(other) {
                #expect(expected[item][other].magnitude <= least + 5e-5)
            }
            for neighbour in found {
                let value = expected[item][Int(neighbour.item)]
                if scale == nil { scale = exp2(log2(Double(neighbour.weight) / value).rounded()) }
                #expect(abs(Double(neighbour.weight) / (scale ?? 1) - value) < value.magnitude / 500 + 2e-5)
                negative += neighbour.weight < 0 ? 1 : 0
            }
        }
        #expect(negative > 0)
    }

    @Test("items that nobody took to have no place in a regression")
    func unusedItems() throws {
        let rows = self.rows(5, users: 30, items: 40, count: 300).map { Row(user: $0.user, item: $0.item * 3) }
        let graph = try self.graph(rows, items: 130, .ease(lambda: 10), neighbours: 10)
        let used = Set(rows.map(\.item))
        for item in Item.Number(0)..<130 {
            let found = graph.neighbours(of: item)
            #expect(found.count == (used.contains(item) ? 10 : 0))
            #expect(found.allSatisfy { used.contains($0.item) && $0.item != item })
        }
    }

    @Test("a graph is the same with 1, 2 and 5 threads", arguments: Recipe.named)
    func threads(recipe: Recipe) throws {
        let rows = self.rows(11, users: 120, items: 140, count: 4_000)
        let graphs = try [1, 2, 5].map { try self.graph(rows, items: 140, recipe, neighbours: 30, threads: $0) }
        #expect(graphs[0] == graphs[1])
        #expect(graphs[0] == graphs[2])
    }

    @Test("no data makes no harm", arguments: Recipe.named)
    func degenerate(recipe: Recipe) throws {
        #expect(try fit([], items: 0, recipe: recipe).itemCount == 0)
        #expect(try fit([], items: 3, recipe: recipe).collaborative.edgeCount == 0)
        #expect(try fit([Row(user: 0, item: 0)], items: 1, recipe: recipe).collaborative.edgeCount == 0)
        #expect(
            try fit([Row(user: 0, item: 1), Row(user: 0, item: 1)], items: 3, recipe: recipe).collaborative.edgeCount
                == 0
        )
        let same = try fit(
            (0..<5).flatMap { user in (0..<4).map { Row(user: user, item: $0) } },
            items: 4,
            recipe: recipe
        )
        for item in Item.Number(0)..<4 {
            let neighbours = same.collaborative.neighbours(of: item)
            let others = recipe == .popularity ? [] : (0..<4).filter { $0 != item }
            #expect(Set(neighbours.map(\.item)) == Set(others))
            // A regression's weights are equal but for rounding.
            guard recipe.name != "ease" else { continue }
            #expect(Set(neighbours.map(\.weight)).count <= 1)
            #expect(neighbours.map(\.item) == others)
        }
        let one = try fit((0..<30).map { Row(user: 0, item: $0) }, items: 30, recipe: recipe)
        #expect(one.collaborative.edgeCount == (recipe == .popularity ? 0 : 30 * 29))
        var input = FitInput(
            interactions: InteractionColumns((0..<9).map { Row(user: $0 % 3, item: $0, type: .rating, value: .nan) }),
            itemCount: 9,
            builtAt: someTime
        )
        #expect(try SnapshotBuilder.fit(input, recipe: recipe, threads: 2).collaborative.edgeCount == 0)
        input.interactions = InteractionColumns((0..<9).map { Row(user: $0 % 3, item: $0) })
        for weight: Float in [.nan, -1, 0, -.greatestFiniteMagnitude] {
            input.eventWeights = [.click: weight]
            #expect(try SnapshotBuilder.fit(input, recipe: recipe, threads: 2).collaborative.edgeCount == 0)
        }
    }

    @Test("a regression over more items than it takes is refused, as is one without a ridge")
    func regressionBounds() throws {
        let count = RidgeFit.maximumItemCount + 1
        let rows = (0..<count).map { Row(user: UInt32($0 / 400), item: UInt32($0)) }
        #expect(throws: FitError.tooManyItems(count, recipe: "ease", maximum: 10_000)) {
            try fit(rows, items: count, recipe: .ease(lambda: 100))
        }
        for lambda: Double in [0, -1, .nan, .infinity] {
            #expect(throws: FitError.ridgeNotPositive) { try fit([], items: 1, recipe: .ease(lambda: lambda)) }
        }
    }

    @Test("exponents beyond all reason give a graph, if no good one", arguments: [-60.0, 60])
    func exponents(exponent: Double) throws {
        let product = Recipe.Product(
            user: exponent,
            choice: exponent,
            power: exponent,
            item: exponent,
            neighbour: exponent,
            rowSum: exponent,
            columnSum: exponent
        )
        let rows = self.rows(2, users: 30, items: 50, count: 600)
        let graph = try self.graph(rows, items: 50, .product(product), neighbours: 20)
        for item in Item.Number(0)..<50 { #expect(graph.neighbours(of: item).allSatisfy { $0.weight.isFinite }) }
    }

    @Test("names and parameters give the recipe back")
    func names() {
        for recipe in products + Recipe.named {
            #expect(Recipe(named: recipe.name, parameters: recipe.parameters) == recipe)
            #expect(Recipe(named: recipe.name, parameters: ["user": .nan]) == Recipe(named: recipe.name))
        }
        #expect(Recipe(named: "magic") == nil)
        #expect(Recipe(named: "item-cosine-1", parameters: [:]) == nil)
    }

    @Test("rows in memory give the graph that interactions give, and are refused where they are none")
    func rowsInMemory() throws {
        let rows = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 0), (2, 3)].map { Row(user: $0.0, item: $0.1) }
        let graph = try SnapshotBuilder.graph(
            offsets: [0, 3, 5, 7],
            items: [0, 1, 2, 1, 2, 0, 3],
            itemCount: 4,
            recipe: .standard,
            threads: 1
        )
        #expect(graph == (try fit(rows, items: 4, recipe: .standard).collaborative))
        for (offsets, items) in [([0, 1], [9]), ([0, 2], [1]), ([], []), ([0, 2, 1], [1]), ([1, 1], [1])]
            as [([Int], [UInt32])]
        {
            #expect(throws: FitError.rowsInconsistent) {
                try SnapshotBuilder.graph(offsets: offsets, items: items, itemCount: 4, recipe: .standard, threads: 1)
            }
        }
    }

    @Test("of a user with very many events the newest are taken, as a sort would", arguments: [1, 7, 90])
    func newestOfMany(limit: Int) throws {
        var generator = SeededGenerator(9)
        let rows = (0..<3_000).map { _ in
            Row(
                user: 0,
                item: UInt32.random(in: 0..<400, using: &generator),
                day: Double(Int.random(in: 0..<200, using: &generator))
            )
        }
        var input = FitInput(interactions: InteractionColumns(rows), itemCount: 400, builtAt: someTime)
        input.limits.history = limit
        let pairs = PositivePairs(input, weighed: try WeighedInteractions(input))
        let sorted = rows.sorted { $0.day != $1.day ? $0.day > $1.day : $0.item < $1.item }
        #expect(Set(pairs.itemsOfUser.values) == Set(sorted.prefix(limit).map(\.item)))
    }

    @Test("what is held back is as if it were not there", arguments: 0..<4)
    func heldBack(seed: Int) throws {
        var generator = SeededGenerator(UInt64(40 + seed))
        let rows = randomRows(800, users: 30, items: 50, using: &generator)
        let columns = InteractionColumns(rows)
        var input = FitInput(interactions: columns, itemCount: 50, builtAt: someTime)
        input.heldBack = RowMask(count: columns.count)
        // The first rows stay, for users to keep their indices.
        var rest: [Row] = []
        for (row, content) in rows.enumerated() {
            if row > 400, Bool.random(using: &generator) { input.heldBack.insert(row) } else { rest.append(content) }
        }
        let masked = try SnapshotBuilder.fit(input, recipe: .standard, threads: 2)
        let without = try fit(rest, items: 50, recipe: .standard)
        #expect(SnapshotArtifact(masked).encode() == SnapshotArtifact(without).encode())
    }
}

extension Recipe: CustomTestStringConvertible {
    package var testDescription: String { "\(self.name) \(self.parameters)" }
}

@Suite struct KeyRowTests {
    @Test("keys are in order however they are spread", arguments: [0, 1, 2, 16, 17, 100, 700])
    func order(count: Int) {
        var generator = SeededGenerator(UInt64(count))
        for spread in [0, 1, 3, 200, 65_535] as [UInt64] {
            var row = KeyRow()
            for _ in 0..<2 {
                row.keys = (0..<count).map { _ in
                    UInt64.random(in: 65_535 - spread...65_535, using: &generator) << 32
                        | UInt64(UInt32.random(in: 0...UInt32.max, using: &generator))
                }
                let expected = row.keys.sorted(by: >)
                row.sort()
                #expect(row.keys == expected)
            }
        }
    }
}
