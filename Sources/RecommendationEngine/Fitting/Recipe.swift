/// How items become neighbours, from who took to what.
///
/// But for ``popularity`` and ``ease`` all are one sparse product of the users-by-items matrix with itself, weighed before and
/// after: see ``Product``, of which the named ones are special cases.
package enum Recipe: Sendable, Equatable {
    /// No neighbours: everybody is shown what most use. Cremonesi, Koren, Turrin, "Performance of recommender algorithms on
    /// top-N recommendation tasks", RecSys 2010.
    case popularity
    /// Shared users over users of either. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 1912.
    case jaccard
    /// Shared users over the geometric mean of both items' users. Sarwar, Karypis, Konstan, Riedl, "Item-based collaborative
    /// filtering recommendation algorithms", WWW 2001.
    case cosine
    /// Items as documents whose words are users. Robertson, Zaragoza, "The probabilistic relevance framework: BM25 and
    /// beyond", 2009.
    case bm25(k1: Double, b: Double)
    /// A walk of three steps, each probability to the power of alpha. Cooper, Lee, Radinsky, Siantos, "Random walks in
    /// recommender systems: exact computation and simulations", WWW 2014.
    case p3alpha(alpha: Double)
    /// The same, less by a power of an item's users. Paudel, Christoffel, Newell, Bernstein, "Updatable, accurate, diverse, and
    /// scalable recommendations for interactive applications", TiiS 2017.
    case rp3beta(alpha: Double, beta: Double)
    /// The general sparse product.
    case product(Product)
    /// A linear regression of each item on all others with a ridge, closed form. Steck, "Embarrassingly shallow autoencoders for
    /// sparse data", WWW 2019. At most ``RidgeFit/maximumItemCount`` items.
    case ease(lambda: Double)

    /// The sparse self-product: what two items share is Σ over the users of both of d⁻ᵍ (d: how many a user or an item has). An
    /// item keeps as neighbours those of the largest shared · dⱼ^-choice, with weight sharedᵖ · dᵢ⁻ᵃ · dⱼ⁻ᵇ, then divided by the
    /// sum of the row to a power, then by the sum of the column to a power.
    ///
    /// After Deshpande, Karypis, "Item-based top-N recommendation algorithms", TOIS 2004 (conditional probability with a power
    /// of the neighbour's frequency, users weighed by length, rows normalised) and Aiolli, "Efficient top-N recommendation
    /// for very large scale binary rated datasets", RecSys 2013 (asymmetric exponents, and a power that makes it local).
    package struct Product: Sendable, Equatable {
        /// g
        package var user = 0.5
        package var choice = 0.34
        /// p
        package var power = 1.3
        /// a
        package var item = 1.0
        /// b
        package var neighbour = 0.1
        package var rowSum = 0.0
        package var columnSum = 0.1

        package init() {}

        package init(
            user: Double,
            choice: Double,
            power: Double,
            item: Double,
            neighbour: Double,
            rowSum: Double,
            columnSum: Double
        ) {
            self.user = user
            self.choice = choice
            self.power = power
            self.item = item
            self.neighbour = neighbour
            self.rowSum = rowSum
            self.columnSum = columnSum
        }
    }

    /// The recipe that is used where none is named and none is chosen.
    package static let standard = Recipe.product(Product())

    /// Every name, with its usual parameters.
    package static let named: [Recipe] = [
        .popularity, .jaccard, .cosine, .bm25(k1: 1.2, b: 0.75), .p3alpha(alpha: 0.8), .rp3beta(alpha: 0.8, beta: 0.3),
        .standard, .ease(lambda: 250),
    ]

    package static var names: [String] { Self.named.map(\.name) }

    /// The recipe of a name with its usual parameters; nil for a name that is none.
    package init?(named name: String) {
        guard let recipe = Self.named.first(where: { $0.name == name }) else { return nil }
        self = recipe
    }

    /// The recipe that a model version was built by; parameters that are missing or no numbers are the usual ones. nil for a
    /// name that is none.
    package init?(named name: String, parameters: [String: Double]) {
        guard let usual = Recipe(named: name) else { return nil }
        func value(_ key: String) -> Double {
            let value = parameters[key] ?? .nan
            return value.isFinite ? value : usual.parameters[key] ?? 0
        }
        switch usual {
        case .popularity, .jaccard, .cosine: self = usual
        case .bm25: self = .bm25(k1: value("k1"), b: value("b"))
        case .p3alpha: self = .p3alpha(alpha: value("alpha"))
        case .rp3beta: self = .rp3beta(alpha: value("alpha"), beta: value("beta"))
        case .ease: self = .ease(lambda: value("lambda"))
        case .product:
            self = .product(
                Product(
                    user: value("user"),
                    choice: value("choice"),
                    power: value("power"),
                    item: value("item"),
                    neighbour: value("neighbour"),
                    rowSum: value("row_sum"),
                    columnSum: value("column_sum")
                )
            )
        }
    }

    /// The name in the registry and in the shell.
    package var name: String {
        switch self {
        case .popularity: "popularity"
        case .jaccard: "jaccard"
        case .cosine: "cosine"
        case .bm25: "bm25"
        case .p3alpha: "p3alpha"
        case .rp3beta: "rp3beta"
        case .product: "product"
        case .ease: "ease"
        }
    }

    package var parameters: [String: Double] {
        switch self {
        case .popularity, .jaccard, .cosine: [:]
        case .bm25(let k1, let b): ["k1": k1, "b": b]
        case .p3alpha(let alpha): ["alpha": alpha]
        case .rp3beta(let alpha, let beta): ["alpha": alpha, "beta": beta]
        case .ease(let lambda): ["lambda": lambda]
        case .product(let product):
            [
                "user": product.user, "choice": product.choice, "power": product.power, "item": product.item,
                "neighbour": product.neighbour, "row_sum": product.rowSum, "column_sum": product.columnSum,
            ]
        }
    }
}
