import Glibc
import RecommendationCore
import Testing

@testable import RecommendationEngine

@Suite struct ListReportTests {
    /// Item 0 has four users, item 1 two of them, item 2 one of those; item 3 nobody.
    private let input = FitInput(
        interactions: InteractionColumns(
            [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (0, 2)].map { Row(user: $0.0, item: $0.1) }
        ),
        itemCount: 4,
        builtAt: someTime
    )

    @Test("figures of two users by hand")
    func knownAnswer() throws {
        let users = [
            Split.User(history: [event(1)], relevant: [0, 3]),
            Split.User(history: (0..<60).map { event($0 % 2) }, relevant: [2]),
        ]
        let report = try ListReport([[0, 2], [3, 2, 1]], users, cutoff: 2, input: self.input)
        #expect(report.all.users == 2)
        #expect(report.all.recall == 0.75)
        #expect(report.all.map == 0.5)
        #expect(report.all.coverage == 0.75)
        // Items 0 and 2 share one user, of four and one; items 3 and 2 none.
        #expect(report.all.diversity == 0.75)
        // 0 of all, 2 of a quarter, 3 as if of a quarter, 2 again.
        #expect(report.all.novelty == 1.5)
        // 4 and 1 over 2; 0 and 1 over 4 and 2.
        let (first, second) = (2.5 / 2, 0.5 / 3)
        let bias = try #require(report.all.popularityBias)
        #expect(abs(bias - (first + second) / 2) < 1e-12)
        #expect(report.segments.map(\.segment) == [.cold, .heavy])
        #expect(report.segments[0].figures.recall == 0.5)
        #expect(report.segments[1].figures.recall == 1)
        #expect(report.segments[1].figures.ndcg == 1 / log2(3.0))
    }

    @Test("a list that is perfect has the best of all figures")
    func perfect() throws {
        let users = [Split.User(history: (0..<5).map { event($0 % 2) }, relevant: [2, 3])]
        let report = try ListReport([[3, 2, 1]], users, cutoff: 2, input: self.input)
        #expect([report.all.recall, report.all.ndcg, report.all.map] == [1, 1, 1])
        #expect(report.segments.map(\.segment) == [.warm])
    }

    @Test("nobody, empty lists and items beyond the catalogue")
    func nothing() throws {
        let none = try ListReport([], [], cutoff: 20, input: self.input)
        #expect(none.all.users == 0 && none.all.diversity == nil && none.segments.isEmpty)
        let users = [Split.User(history: [], relevant: [.max])]
        let report = try ListReport([[]], users, cutoff: 20, input: self.input)
        #expect(report.all.recall == 0 && report.all.novelty == nil && report.all.popularityBias == nil)
        let empty = FitInput(interactions: InteractionColumns(), itemCount: 0, builtAt: someTime)
        #expect(try ListReport([[]], users, cutoff: 20, input: empty).all.coverage == 0)
    }
}
