package import RecommendationCore
package import RecommendationEngine

/// Why no model was made of what was brought; nothing is stored then.
package enum ModelImportError: Error, Equatable, Sendable {
    case file(ImportError)
    case unreadable(path: String, reason: String)
    case badMatrix(path: String, reason: String)
    /// Ids and rows of factors are not as many.
    case idCount(path: String, ids: Int, rows: Int)
    /// The tenant has no items yet.
    case emptyCatalogue
    /// No line could be used.
    case nothingLeft
    /// Lines were rejected where none may be.
    case rejected(Int)
    case fit(FitError)
    case repository(RepositoryError)
}

extension ModelImportError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
        case .badMatrix(let path, let reason): "\(path): \(reason)"
        case .idCount(let path, let ids, let rows): "\(path) has \(ids) ids for \(rows) rows of factors"
        case .emptyCatalogue: "there are no items; import some first"
        case .nothingLeft: "no line can be used; nothing is stored"
        case .rejected(let count): "\(count) lines are rejected; nothing is stored"
        case .fit(let error): "no model can be fitted: \(error)"
        case .repository(let error): "the store: \(error)"
        }
    }
}
