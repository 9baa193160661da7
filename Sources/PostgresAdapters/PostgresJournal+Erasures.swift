import Postgres
import RecommendationCore

/// Of users who were erased the journal has no rows any more (``PostgresErasureRepository``). Who reads it from a position before
/// such an erasure is not told of it, and has to be helped otherwise.
extension PostgresJournal {
    /// Of a row of `erasures`: whether its rows in the journal are gone, and were not visible at the position `$1`. As old as
    /// what is kept of the journal, at most.
    static let isScrubbedLater: PostgresStatement =
        "(state = 'done' AND created_at > now() - interval '26 hours' AND \(Self.isLater))"

    /// Makes void all lists of tenants at once: a Redis that has gone back to before an erasure may hold entries that no floor
    /// can be raised for, as nobody knows whose they are. Their fields name a generation before this one.
    func purge(_ tenants: [Int32]) async throws {
        for tenant in tenants {
            try await self.store.client.transaction { transaction in
                _ = try PostgresControlRepository.raiseGeneration(
                    "tenant",
                    "",
                    tenant: tenant,
                    kind: PostgresControlRepository.Kind.purge,
                    in: &transaction
                )
            }
        }
    }
}
