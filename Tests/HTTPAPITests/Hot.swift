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
        var asked = 0
        var looks: [[String]] = []
    }

    static let now = Timestamp(seconds: 1_788_256_800)
    private static let id = RecommendationID(high: 0x0198_0000_0000_1234, low: 0x5678_9ABC_DEF0_1234)

    private let state: Mutex<State>
    private let signer: TokenSigner
    private let slowly: @Sendable () async -> Void
    private let looking: @Sendable () async -> Void

    /// L1 knows all users but those whose ids begin with `cold`, who are for the slow lane; `l2`, whom a look finds; `new`,
    /// whose pool is computed after a look; and `lost`, of whom neither comes to anything.
    ///
    /// - Parameters:
    ///   - slowly: Waited for by every answer of the slow lane.
    ///   - looking: Waited for by every look.
    init(slowly: @escaping @Sendable () async -> Void = {}, looking: @escaping @Sendable () async -> Void = {}) throws {
        self.slowly = slowly
        self.looking = looking
        self.signer = TokenSigner(try SigningKeys(parsing: SigningKeys.generate(id: "k1")))
        self.state = Mutex(State(tenant: Self.tenant(tombstones: [])))
    }

    var answered: Answered { self.state.withLock { $0.answered } }

    /// How many requests were to wait.
    var asked: Int { self.state.withLock { $0.asked } }

    /// The users of each look, in order.
    var looks: [[String]] { self.state.withLock { $0.looks } }

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
            recommend: { request, _, standing, workspace in
                let user = request.user.string
                if user.hasPrefix("cold") { return .wait }
                guard ["l2", "new", "lost"].contains(where: user.hasPrefix) else {
                    return .answer(self.immediate(request.user, request.surface, request.limit, workspace))
                }
                self.state.withLock { $0.asked += 1 }
                return .ask(self.question(request))
            },
            look: { questions in
                await self.looking()
                self.state.withLock { $0.looks.append(questions.map(\.request.user.string)) }
                return questions.map { $0.request.user.string.hasPrefix("l2") ? .found(Self.found(.l2)) : .missing }
            },
            compute: { questions in
                questions.map { $0.request.user.string.hasPrefix("new") ? Self.found(.computed) : nil }
            },
            answer: { question, _, workspace in
                let request = question.request
                return self.immediate(request.user, request.surface, request.limit, workspace)
            }
        )
        return useCases
    }

    private func question(_ request: ImmediateRequest) -> ImmediateQuestion {
        ImmediateQuestion(
            request: request,
            state: self.state.withLock { $0.tenant },
            model: 42,
            experiments: [],
            place: CachePlace(
                key: CacheKey(namespace: "inc", owner: "acme", member: request.user.string),
                field: CacheField(parts: [request.surface])
            ),
            start: .now,
            controlled: .now
        )
    }

    private static func found(_ tier: Tier) -> ImmediatePool {
        let entry = CacheEntry(version: 1, computedAt: 0, softExpiry: 0, hardExpiry: 0, cost: 0, payload: [])
        return ImmediatePool(entry: entry, tier: tier, lookup: .zero, compute: .zero)
    }

    private func immediate(
        _ user: User.ID,
        _ surface: String,
        _ limit: Int,
        _ workspace: ImmediateWorkspace
    ) -> ImmediateAnswer {
        let tenant = self.state.withLock { state in
            state.answered.fast += 1
            return state.tenant
        }
        var answer = self.envelope(user, surface: surface, tenant)
        PoolCodec.encode(Self.pool(of: user)).withUnsafeBytes { bytes in
            let builder = SlateBuilder(state: tenant, signer: self.signer, now: Self.now)
            answer.filtered = builder.choose(limit, of: PoolView(bytes)!, into: workspace.slate)
        }
        let signing = self.signer.response(Self.id, tenant: tenant.tenant, SlateOrigin(user: user, model: 42))
        return ImmediateAnswer(recommendation: answer, signing: signing, state: tenant)
    }

    private func recommend(_ user: User.ID, surface: String, limit: Int) -> Recommendation {
        let tenant = self.state.withLock { $0.tenant }
        var answer = self.envelope(user, surface: surface, tenant)
        PoolCodec.encode(Self.pool(of: user)).withUnsafeBytes { bytes in
            let slate = SlateBuilder(state: tenant, signer: self.signer, now: Self.now)
                .slate(of: PoolView(bytes)!, limit: limit, id: Self.id, origin: SlateOrigin(user: user, model: 42))
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
                generations: Generations(),
                activeModel: nil,
                readyModel: nil,
                previousModel: nil
            ),
            denials: Denials(
                tombstones.map { TombstoneChange($0.tombstone, deniedUntil: $0.expiresAt ?? .never) },
                now: Self.now
            ),
            model: nil
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
