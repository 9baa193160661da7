/// How many interactions are stored at once: as many as take about half a second, so that no transaction holds its locks for
/// longer than a second.
struct ChunkPacing {
    static let bounds = 500...100_000
    static let target = Duration.milliseconds(500)

    private(set) var size = 5_000

    /// Takes note of a chunk.
    ///
    /// Growth at most doubles the size: a chunk that was quick by chance must not make a slow one.
    mutating func stored(rows: Int, in duration: Duration) {
        // The last chunk of a file says little: most of its time is not for its rows.
        guard rows >= self.size || duration > Self.target else { return }
        let fitting = duration > .zero ? Double(rows) * (Self.target / duration) : .infinity
        let wanted = min(fitting, Double(self.size) * 2)
        self.size = Int(min(max(wanted, Double(Self.bounds.lowerBound)), Double(Self.bounds.upperBound)))
    }
}
