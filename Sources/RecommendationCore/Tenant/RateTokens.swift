/// What is left of the limits of keys, for all nodes together.
public protocol RateTokens: Sendable {
    /// Takes as many as there are, up to some.
    func draw(_ wanted: Int, of limit: KeyLimit) async throws(RepositoryError) -> RateDraw
}

/// What came of a draw.
public struct RateDraw: Sendable, Equatable {
    /// No more than was wanted.
    public let granted: Int
    /// How long it takes until there is one more.
    public let wait: Duration

    /// So many, and so long.
    public init(granted: Int, wait: Duration) {
        self.granted = granted
        self.wait = wait
    }
}
