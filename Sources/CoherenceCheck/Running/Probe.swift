import LoadClient

/// A read that is made to judge a write.
struct Probe: Sendable, Equatable {
    /// After the acknowledgement.
    var offset: Duration
    var node: Int
    /// Whether it names the version that the write was answered with.
    var namesVersion = false

    /// The reads that follow a write, in order of time: at once where the promise has no bound, before the bound to see how
    /// stale the other nodes are, and right after it.
    ///
    /// - Parameter others: The nodes that did not take it; none: there is one node only.
    static func plan(
        node: Int,
        others: [Int],
        bound: Duration,
        _ generator: inout some RandomNumberGenerator
    ) -> [Probe] {
        let far = (others.isEmpty ? [node] : others).shuffled(using: &generator)
        let all = far + (others.isEmpty ? [] : [node])
        var probes = [
            Probe(offset: .zero, node: far[0]), Probe(offset: .zero, node: node),
            Probe(offset: .zero, node: far[far.count - 1], namesVersion: true),
            Probe(offset: bound / 4, node: far[0]), Probe(offset: bound / 2, node: far[far.count - 1]),
        ]
        probes += far.map { Probe(offset: bound, node: $0) }
        let later = bound * Double.random(in: 1..<1.25, using: &generator)
        probes.append(Probe(offset: later, node: all.randomElement(using: &generator)!))
        probes.append(Probe(offset: bound * 2, node: far.randomElement(using: &generator)!))
        return probes
    }
}
