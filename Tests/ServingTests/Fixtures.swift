import RecommendationCore
import RecommendationEngine

@testable import Serving

/// SplitMix64: the same numbers from the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension SlateBuilder {
    /// The slate of a pool by way of its bytes, as caches hold it.
    func slate(
        of pool: CandidatePool,
        limit: Int,
        filter: SlateFilter = .none,
        id: RecommendationID,
        origin: SlateOrigin
    ) -> Slate {
        PoolCodec.encode(pool).withUnsafeBytes { bytes in
            self.slate(of: PoolView(bytes)!, limit: limit, filter: filter, id: id, origin: origin)
        }
    }
}

enum Fixture {
    static let now = Timestamp(seconds: 1_780_000_000)
    static let keys = try! SigningKeys(parsing: SigningKeys.generate(id: "k1"))

    static func items(_ count: Int, change: (inout Item) -> Void = { _ in }) -> [NumberedItem] {
        (0..<count).map { number in
            var item = Item(
                id: Item.ID(trusted: "i\(number)"),
                title: "Item \(number)",
                categories: ["c\(number % 7)"],
                creator: "creator-\(number % 3)",
                campaigns: number % 5 == 0 ? ["sale"] : []
            )
            change(&item)
            return NumberedItem(number: UInt32(number), item: item)
        }
    }

    static func state(
        items: [NumberedItem],
        tombstones: [ListedTombstone] = [],
        policy: Policy = .builtIn,
        now: Timestamp = Fixture.now
    ) -> TenantState {
        var catalog = Catalog()
        catalog.update(items)
        return TenantState(
            incarnation: "inc",
            epoch: 1,
            policy: PolicyInForce(policy: policy, unreadable: nil, behindSince: nil),
            catalog: catalog,
            control: TenantControl(
                tenant: .default,
                generations: Generations(),
                activeModel: nil,
                readyModel: nil,
                previousModel: nil
            ),
            denials: Denials(tombstones.map(\.change), now: now),
            model: nil
        )
    }

    /// Documents that are nothing but the size of the pool.
    static let codec = PolicyCodec(
        encode: { String($0.poolSize) },
        decode: { stored throws(UnreadablePolicy) in
            guard let size = Int(stored.document) else {
                throw UnreadablePolicy(version: stored.version, reason: "not a number")
            }
            var policy = Policy.builtIn
            policy.version = stored.version
            policy.poolSize = size
            return policy
        }
    )

    static func tombstone(_ kind: Tombstone.Kind, _ key: String, until: Timestamp? = nil) -> ListedTombstone {
        ListedTombstone(
            tombstone: Tombstone(kind: kind, key: Identifier(trusted: key)),
            reason: nil,
            expiresAt: until,
            epoch: 1,
            createdAt: Self.now
        )
    }

    /// What a node reads where these and no others are denied.
    static func all(_ tombstones: [ListedTombstone]) -> [Tenant.ID: TombstoneDelta] {
        [.default: TombstoneDelta(isWhole: true, changes: tombstones.map(\.change))]
    }

    /// A pool of items 0 to count, best first.
    static func pool(_ count: Int, seeds: [Item.Number] = []) -> CandidatePool {
        CandidatePool(
            scales: [
                .init(offset: 0, step: 0.4 / 255), .init(offset: 0, step: 0.3 / 255), .init(offset: 0, step: 0.3 / 255),
            ],
            seeds: seeds,
            unseen: (0..<count).map { number in
                CandidatePool.Candidate(
                    item: UInt32(number),
                    collaborative: UInt8(255 - number % 256),
                    content: 0,
                    popularity: 0,
                    seed: seeds.isEmpty ? CandidatePool.noSeed : 0
                )
            },
            seen: [],
            isPersonal: true
        )
    }
}

extension ListedTombstone {
    /// What a node reads of it.
    var change: TombstoneChange { TombstoneChange(self.tombstone, deniedUntil: self.expiresAt ?? .never) }
}
