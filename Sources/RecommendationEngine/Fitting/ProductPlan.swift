import Glibc

/// A sparse product in its two steps: who are neighbours, and what they weigh.
struct ProductPlan: Sendable, Equatable {
    /// What one user of both items counts.
    enum UserFactor: Sendable, Equatable {
        /// d to minus this power.
        case degree(Double)
        /// The square of the inverse document frequency, with users as words.
        case rarity

        func table(_ degrees: [Float], itemCount: Int) -> [Float] {
            switch self {
            case .degree(let exponent): ProductPlan.power(degrees, -exponent)
            case .rarity:
                degrees.map { degree in
                    let frequency = log1pf((Float(itemCount) - degree + 0.5) / (degree + 0.5))
                    return degree > 0 ? frequency * frequency : 0
                }
            }
        }
    }

    /// A number an item.
    enum ItemFactor: Sendable, Equatable {
        /// d to minus this power.
        case degree(Double)
        /// BM25's saturation of an item of so many users, for words that occur once.
        case saturation(k1: Double, b: Double)

        func table(_ degrees: [Float]) -> [Float] {
            switch self {
            case .degree(let exponent): return ProductPlan.power(degrees, -exponent)
            case .saturation(let k1, let b):
                let count = degrees.count { $0 > 0 }
                let mean = count > 0 ? degrees.reduce(0) { $0 + Double($1) } / Double(count) : 1
                return degrees.map { degree in
                    Float((k1 + 1) / (k1 * (1 - b + b * Double(degree) / mean) + 1))
                }
            }
        }
    }

    enum Choice: Sendable, Equatable {
        /// Shared times a factor of the neighbour.
        case scaled(ItemFactor)
        /// Shared over what either has; this quotient is then what is shared.
        case jaccard
    }

    /// The first step: plans that agree in it have the same neighbours.
    struct Selection: Sendable, Equatable {
        var user: UserFactor
        var choice: Choice
    }

    /// The second step up to the neighbour's own factors: plans that agree in it too differ in a few multiplications.
    struct Base: Sendable, Equatable {
        var power: Double
        var item: ItemFactor
    }

    var selection: Selection
    var base: Base
    var neighbour: ItemFactor
    var rowSum: Double
    var columnSum: Double

    /// nil for a recipe that is no sparse product.
    init?(_ recipe: Recipe) {
        switch recipe {
        case .popularity, .ease: return nil
        case .jaccard:
            self.init(.degree(0), .jaccard, item: .degree(0), neighbour: .degree(0))
        case .cosine:
            self.init(.degree(0), .scaled(.degree(0.5)), item: .degree(0.5), neighbour: .degree(0.5))
        case .bm25(let k1, let b):
            let factor = ItemFactor.saturation(k1: max(k1, 0), b: min(max(b, 0), 1))
            self.init(.rarity, .scaled(factor), item: factor, neighbour: factor)
        case .p3alpha(let alpha):
            self.init(.degree(alpha), .scaled(.degree(0)), item: .degree(alpha), neighbour: .degree(0))
        case .rp3beta(let alpha, let beta):
            self.init(.degree(alpha), .scaled(.degree(beta)), item: .degree(alpha), neighbour: .degree(beta))
        case .product(let product):
            self.init(
                .degree(product.user),
                .scaled(.degree(product.choice)),
                power: product.power,
                item: .degree(product.item),
                neighbour: .degree(product.neighbour),
                rowSum: product.rowSum,
                columnSum: product.columnSum
            )
        }
    }

    private init(
        _ user: UserFactor,
        _ choice: Choice,
        power: Double = 1,
        item: ItemFactor,
        neighbour: ItemFactor,
        rowSum: Double = 0,
        columnSum: Double = 0
    ) {
        self.selection = Selection(user: user, choice: choice)
        self.base = Base(power: power, item: item)
        self.neighbour = neighbour
        self.rowSum = rowSum
        self.columnSum = columnSum
    }

    /// Degrees to a power, 0 where the degree is 0; computed once a degree.
    static func power(_ degrees: [Float], _ exponent: Double) -> [Float] {
        guard exponent != 0 else { return degrees.map { $0 > 0 ? 1 : 0 } }
        var known = [Float](repeating: 0, count: 1_024)
        for degree in 1..<known.count { known[degree] = Float(pow(Double(degree), exponent)) }
        return degrees.map { degree in
            let number = Int(degree)
            return number < known.count ? known[number] : Float(pow(Double(degree), exponent))
        }
    }
}
