package import Logging
import Metrics
package import RecommendationCore

/// Takes what was really shown. It is no interaction: no version is raised and nothing is invalidated.
///
/// What is told by tokens that were not given out for it is rejected before any store is asked.
package struct ImpressionService: Sendable {
    /// How long after the recommendation an impression of it is taken.
    package static let acceptance = Duration.seconds(30 * 86_400)
    /// How long they are kept: far longer than they are taken, so that what is forgotten is not taken again.
    package static let retention = Duration.seconds(90 * 86_400)

    private let repository: any ImpressionRepository
    private let control: ControlState
    private let signer: TokenSigner
    private let caps: FrequencyCapService?
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp
    private let metrics = ImpressionMetrics()
    private let quality: QualityMetrics

    package init(
        repository: any ImpressionRepository,
        control: ControlState,
        signer: TokenSigner,
        quality: QualityMetrics,
        caps: FrequencyCapService? = nil,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.repository = repository
        self.control = control
        self.signer = signer
        self.quality = quality
        self.caps = caps
        self.log = log
        self.wallClock = wallClock
    }

    /// Stores the impressions of one recommendation; those that are wrong are rejected one by one, the others are stored.
    package func record(
        _ request: ImpressionRequest,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ImpressionAnswer {
        var answer = ImpressionAnswer()
        var impressions: [Impression] = []
        var indices: [Int] = []
        for (index, shown) in request.items.enumerated() {
            do throws(Refusal) {
                let impression = try self.impression(shown, of: request.id, tenant: tenant)
                guard !impressions.contains(where: { $0.number == impression.number }) else {
                    answer.duplicates += 1
                    continue
                }
                impressions.append(impression)
                indices.append(index)
            } catch {
                answer.rejected.append(error.rejection(index))
            }
        }
        guard !impressions.isEmpty else {
            self.metrics.count(answer)
            return answer
        }
        let outcomes: [ImpressionOutcome]
        do {
            outcomes = try await AdminService.mapped { [impressions] () async throws(RepositoryError) in
                try await self.repository.record(impressions, tenant: tenant)
            }
        } catch {
            self.metrics.notDurable.increment()
            self.log.warning("impressions not stored", metadata: ["error": "\(error)"])
            throw error
        }
        var shown: [User.ID: [ShownItem]] = [:]
        for (place, outcome) in outcomes.enumerated() {
            let impression = impressions[place]
            switch outcome {
            case .stored: answer.accepted += 1
            // The node that stored it may have died before it was counted: the same step again.
            case .duplicate: answer.duplicates += 1
            case .unknownItem:
                answer.rejected.append(Refusal.unknownItem.rejection(indices[place]))
                continue
            case .erased:
                answer.rejected.append(Refusal.token(.outlived).rejection(indices[place]))
                continue
            }
            if let user = impression.user {
                shown[user, default: []].append(ShownItem(impression.number, impression.attribution))
            }
        }
        if let caps { answer.isCounted = await caps.confirm(shown, tenant: tenant) }
        answer.rejected.sort { $0.index < $1.index }
        self.metrics.count(answer)
        self.count(zip(impressions, outcomes).lazy.filter { $0.1 == .stored }.map(\.0), tenant)
        return answer
    }

    /// Counts what was shown of a slate; all of it is of one source.
    private func count(_ stored: some Collection<Impression>, _ tenant: Tenant.ID) {
        guard let source = stored.first?.attribution.source, let state = self.control.state(of: tenant) else { return }
        let categories = Set(stored.map { state.catalog.category(of: $0.number) })
        self.quality.shown(source, items: stored.count, categories: categories.count)
    }

    /// Why one impression is not taken.
    private enum Refusal: Error {
        case token(TokenRefusal)
        case expired
        case unknownItem

        func rejection(_ index: Int) -> FeedbackRejection {
            let (code, field, allowed) =
                switch self {
                case .token(let refusal): (refusal.code, "tracking_token", Optional(refusal.allowed))
                case .expired:
                    ("expired_token", "tracking_token", "a token of the last \(Self.days) days")
                case .unknownItem: ("unknown_item", "item_id", nil)
                }
            return FeedbackRejection(index: index, code: code, field: field, allowed: allowed)
        }

        private static var days: Int64 { ImpressionService.acceptance.components.seconds / 86_400 }
    }

    private func impression(
        _ shown: ImpressionRequest.Shown,
        of id: RecommendationID,
        tenant: Tenant.ID
    ) throws(Refusal) -> Impression {
        let token: TrackingToken
        do throws(TokenRefusal) {
            token = try self.signer.verify(shown.trackingToken, tenant: tenant)
            guard token.recommendationID == id,
                self.control.state(of: tenant)?.isPossible(token, of: shown.item) ?? true
            else { throw .invalid }
        } catch {
            throw .token(error)
        }
        let age = self.wallClock().milliseconds - id.milliseconds
        guard age <= Self.acceptance.components.seconds * 1_000 else { throw .expired }
        return Impression(
            item: shown.item,
            number: token.item,
            attribution: Attribution(token),
            user: token.origin.named
        )
    }
}

extension ShownItem {
    init(_ number: Item.Number, _ attribution: Attribution) {
        self.init(
            number: number,
            recommendationID: attribution.recommendationID,
            surface: attribution.source?.surface ?? ""
        )
    }
}

private struct ImpressionMetrics: Sendable {
    let notDurable = ImpressionMetrics.counter("not_durable")
    private let accepted = ImpressionMetrics.counter("accepted")
    private let duplicates = ImpressionMetrics.counter("duplicate")
    private let rejected = ImpressionMetrics.counter("rejected")

    func count(_ answer: ImpressionAnswer) {
        self.accepted.increment(by: answer.accepted)
        self.duplicates.increment(by: answer.duplicates)
        self.rejected.increment(by: answer.rejected.count)
    }

    private static func counter(_ result: String) -> Counter {
        Counter(label: "vireo_impressions_total", dimensions: [("result", result)])
    }
}
