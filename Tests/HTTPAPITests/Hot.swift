import HTTPAPI
import RecommendationCore
import Synchronization

@testable import Caching
@testable import Serving

/// A catalogue, a pool and a signer, asked over both lanes: each answer is made by the final stage, at one moment and under one
/// id, so that two answers differ only where the lanes do.
final class Hot: Sendable {
    struct Answered {
        var fast = 0
        var slow = 0
    }

    private struct State {
        var answered = Answered()
        var isLive = true
        var changes: UInt64 = 1
        var keys: [String: Principal] = ["reader": Principal(tenant: .acme, scopes: [.read])]
        var tenant: TenantState
    }

    static let now = Timestamp(seconds: 1_788_256_800)
    private static let id = RecommendationID(high: 0x0198_0000_0000_1234, low: 0x5678_9ABC_DEF0_1234)

    private let state: Mutex<State>
    private let signer: TokenSigner
    /// Users that L1 knows; all others go to the slow lane.
    private let hot: @Sendable (User.ID) -> Bool
    private let slowly: @Sendable () async -> Void

    init(
        hot: @escaping @Sendable (User.ID) -> Bool = { !$0.string.hasPrefix("cold") },
        slowly: @escaping @Sendable () async -> Void = {}
    ) throws {
        self.hot = hot
        self.slowly = slowly
        self.signer = TokenSigner(try SigningKeys(parsing: SigningKeys.generate(id: "k1")))
        self.state = Mutex(State(tenant: Self.tenant(tombstones: [])))
    }

    var answered: Answered { self.state.withLock { $0.answered } }

    /// Everything that was learnt before is to be learnt again, as after any change of the control state.
    func change(_ keys: [String: Principal]) {
        self.state.withLock { state in
            state.keys = keys
            state.changes += 1
        }
    }

    func loseLease() { self.state.withLock { $0.isLive = false } }

    func deny(_ item: String) {
        let tombstone = ListedTombstone(
            tombstone: Tombstone(kind: .item, key: Identifier(trusted: item)),
            reason: nil,
            expiresAt: nil,
            epoch: 2,
            createdAt: Self.now
        )
        self.state.withLock { $0.tenant = Self.tenant(tombstones: [tombstone]) }
    }

    /// - Parameter fast: Whether there is a fast lane.
    func useCases(fast: Bool = true) -> UseCases {
        var useCases = Canned().useCases
        useCases.recommend = { request async throws(ServingError) in
            await self.slowly()
            self.state.withLock { $0.answered.slow += 1 }
            return self.recommend(request.user, surface: request.surface, limit: request.limit)
        }
        useCases.authenticate = { key throws(ServingError) in self.state.withLock { $0.keys[key] } }
        guard fast else { return useCases }
        useCases.immediate = ImmediateUseCases(
            stand: {
                let (isLive, changes) = self.state.withLock { ($0.isLive, $0.changes) }
                let moment = Moment(
                    instant: .now,
                    isLive: true,
                    session: 1,
                    milliseconds: Self.now.milliseconds,
                    isSharedReachable: true
                )
                return isLive ? ImmediateStanding(changes: changes, moment: moment) : nil
            },
            principal: { key in self.state.withLock { $0.keys[key] } },
            recommend: { request, _, _, workspace in
                guard self.hot(request.user) else { return nil }
                let tenant = self.state.withLock { state in
                    state.answered.fast += 1
                    return state.tenant
                }
                var answer = self.envelope(request.user, surface: request.surface, tenant)
                PoolCodec.encode(Self.pool(of: request.user)).withUnsafeBytes { bytes in
                    let builder = SlateBuilder(state: tenant, signer: self.signer, now: Self.now)
                    answer.filtered = builder.choose(request.limit, of: PoolView(bytes)!, into: workspace.slate)
                }
                let signing = self.signer.response(Self.id, model: 42, tenant: tenant.tenant, user: request.user)
                return ImmediateAnswer(recommendation: answer, signing: signing, state: tenant)
            }
        )
        return useCases
    }

    private func recommend(_ user: User.ID, surface: String, limit: Int) -> Recommendation {
        let tenant = self.state.withLock { $0.tenant }
        var answer = self.envelope(user, surface: surface, tenant)
        PoolCodec.encode(Self.pool(of: user)).withUnsafeBytes { bytes in
            let slate = SlateBuilder(state: tenant, signer: self.signer, now: Self.now)
                .slate(of: PoolView(bytes)!, limit: limit, id: Self.id, user: user, model: 42)
            answer.items = slate.items
            answer.filtered = slate.filtered
        }
        return answer
    }

    private func envelope(_ user: User.ID, surface: String, _ tenant: TenantState) -> Recommendation {
        var answer = Recommendation(Self.id, user: user, surface: surface, state: tenant, now: Self.now)
        answer.comes(from: .l1, isPersonal: Self.pool(of: user).isPersonal)
        answer.isComputed(at: Self.now.milliseconds - 4_321, now: Self.now.milliseconds)
        answer.userVersion = 118
        answer.stages = [
            Recommendation.Stage(name: "cache", duration: .microseconds(120)),
            Recommendation.Stage(name: "final", duration: .microseconds(15)),
        ]
        return answer
    }

    private static func tenant(tombstones: [ListedTombstone]) -> TenantState {
        var catalog = Catalog()
        catalog.update((0..<300).map(Self.item))
        return TenantState(
            incarnation: "inc",
            epoch: 1,
            policy: .builtIn,
            catalog: catalog,
            control: TenantControl(
                tenant: .acme,
                tombstones: tombstones,
                generations: Generations(),
                activeModel: nil,
                readyModel: nil,
                previousModel: nil
            ),
            model: nil,
            now: Self.now
        )
    }

    private static func item(_ number: Int) -> NumberedItem {
        let id = number % 9 == 0 ? "i/\"\(number)\"" : "i\(number)"
        let title = number % 7 == 0 ? "Tïtle \\ \"\(number)\"\n😀" : "Title \(number)"
        var item = Item(id: Item.ID(trusted: id), title: title, categories: ["c\(number % 5)"])
        item.inStock = number % 11 != 3
        item.hidden = number % 13 == 5
        return NumberedItem(number: UInt32(number), item: item)
    }

    /// A pool that differs from user to user, with every reason, negative components, seeds and holes in it.
    private static func pool(of user: User.ID) -> CandidatePool {
        let shift = user.string.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
        return CandidatePool(
            scales: [
                .init(offset: 0, step: 0.4 / 255), .init(offset: -0.05, step: 0.3 / 255),
                .init(offset: 0, step: 0.3 / 255),
            ],
            seeds: [3, 7, 250, 100_000],
            unseen: (0..<200).map { Self.candidate($0, shift: shift) },
            seen: [],
            isPersonal: user.string != "new"
        )
    }
    private static func candidate(_ place: Int, shift: Int) -> CandidatePool.Candidate {
        let item = (place * 7 + shift) % 310
        let collaborative = (255 - place) / (1 + place % 3)
        return CandidatePool.Candidate(
            item: UInt32(item),
            collaborative: UInt8(collaborative),
            content: UInt8((place * 37 + shift) % 256),
            popularity: UInt8((place * 11) % 256),
            seed: place % 4 == 3 ? CandidatePool.noSeed : UInt8(place % 4)
        )
    }
}
