import Caching
import PostgresAdapters
import RecommendationCore
import Serving

/// The tombstones that this node denies, and those of the store.
struct NodeDenials: DenialProbe {
    let control: ControlState
    let repository: PostgresControlRepository

    func denies(_ denial: Denial) -> Bool? {
        guard let kind = Tombstone.Kind(rawValue: denial.kind) else { return nil }
        // To the users of a tenant that it does not know it shows nothing.
        guard let state = self.control.state(of: Tenant.ID(trusted: denial.owner)) else { return true }
        return state.denials.contains(kind, denial.name)
    }

    func stands(_ denial: Denial) async throws -> Bool {
        guard let kind = Tombstone.Kind(rawValue: denial.kind) else { return false }
        return try await self.repository.stands(
            Tombstone(kind: kind, key: Identifier(trusted: denial.name)),
            by: denial.epoch,
            tenant: Tenant.ID(trusted: denial.owner)
        )
    }
}
