package import Caching
package import RecommendationCore

/// Changes of the control state: committed, applied here, announced, and then answered.
package struct AdminService: Sendable {
    private let control: any ControlRepository
    private let users: any UserRepository
    private let state: ControlState
    private let invalidator: Invalidator
    private let selfCheck: SelfCheck?
    private let propagationLimit: Duration

    /// - Parameter selfCheck: Hears of tombstones that were announced; nil: nobody does.
    package init(
        control: any ControlRepository,
        users: any UserRepository,
        state: ControlState,
        invalidator: Invalidator,
        selfCheck: SelfCheck? = nil,
        propagationLimit: Duration = .milliseconds(800)
    ) {
        self.control = control
        self.users = users
        self.state = state
        self.invalidator = invalidator
        self.selfCheck = selfCheck
        self.propagationLimit = propagationLimit
    }

    package func addTombstones(
        _ tombstones: [Tombstone],
        reason: String?,
        expiresAt: Timestamp?,
        tenant: Tenant.ID
    ) async throws(ServingError) -> TombstoneAnswer {
        let answer = try await self.changeTombstones(tombstones) { unique async throws(RepositoryError) in
            try await self.control.addTombstones(unique, reason: reason, expiresAt: expiresAt, tenant: tenant)
        }
        self.selfCheck?.denied(tombstones, of: tenant, answer.announcement)
        return answer
    }

    package func removeTombstones(
        _ tombstones: [Tombstone],
        tenant: Tenant.ID
    ) async throws(ServingError) -> TombstoneAnswer {
        try await self.changeTombstones(tombstones) { unique async throws(RepositoryError) in
            try await self.control.removeTombstones(unique, tenant: tenant)
        }
    }

    private func changeTombstones(
        _ tombstones: [Tombstone],
        _ change: ([Tombstone]) async throws(RepositoryError) -> (epoch: Int64, changed: Int)
    ) async throws(ServingError) -> TombstoneAnswer {
        let unique = Array(Set(tombstones))
        let (epoch, changed) = try await Self.mapped { () async throws(RepositoryError) in try await change(unique) }
        return TombstoneAnswer(
            epoch: epoch,
            changed: changed,
            unchanged: unique.count - changed,
            announcement: await self.invalidator.announce(epoch: epoch)
        )
    }

    /// What is denied, the newest change first. What is there all along is in the list once; what is set anew meanwhile comes
    /// to the front.
    ///
    /// - Returns: nil where the cursor is none.
    package func tombstones(
        kind: Tombstone.Kind?,
        cursor: String?,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(ServingError) -> TombstonePage? {
        var last: TombstonePlace?
        if let cursor {
            guard let place = TombstoneCursor.place(of: cursor) else { return nil }
            last = place
        }
        let after = last
        // One more tells whether there are more.
        let found = try await Self.reading { () async throws(RepositoryError) in
            try await self.control.tombstones(kind: kind, after: after, limit: limit + 1, tenant: tenant)
        }
        let tombstones = Array(found.prefix(limit))
        let next = found.count > limit ? tombstones.last.map { TombstoneCursor.text(after: $0) } : nil
        return TombstonePage(tombstones: tombstones, nextCursor: next)
    }

    package func purge(_ scope: PurgeScope, dryRun: Bool, tenant: Tenant.ID) async throws(ServingError) -> PurgeAnswer {
        if dryRun { return .nothing }
        if case .user(let user) = scope {
            let raised = try await Self.mapped { () async throws(RepositoryError) in
                try await self.users.raiseVersion(of: user, tenant: tenant)
            }
            guard let raised else { return .nothing }
            let key = CacheKey(namespace: self.state.incarnation, owner: tenant.string, member: user.string)
            let propagated = await self.invalidator.propagate(
                [Invalidation(key: key, version: raised.version)],
                transaction: raised.transaction,
                within: self.propagationLimit
            )
            // The relay, where it had to do it, has published by now.
            let announcement = Announcement(
                epoch: nil,
                isPropagated: propagated,
                publishedAt: propagated ? .now : nil
            )
            return .user(version: raised.version, announcement)
        }
        let generation = try await Self.mapped { () async throws(RepositoryError) in
            try await self.control.purge(scope, tenant: tenant)
        }
        return .generation(epoch: generation, await self.invalidator.announce(epoch: generation))
    }

    /// What a store's failure means to a caller who wants nothing stored.
    package static func reading<Result>(
        _ body: () async throws(RepositoryError) -> Result
    ) async throws(ServingError) -> Result {
        do throws(ServingError) {
            return try await Self.mapped(body)
        } catch {
            if case .notDurable = error { throw .storeUnavailable }
            throw error
        }
    }

    /// What a store's failure means to a caller.
    package static func mapped<Result>(
        _ body: () async throws(RepositoryError) -> Result
    ) async throws(ServingError) -> Result {
        do {
            return try await body()
        } catch {
            switch error {
            case .unavailable, .outcomeUnknown: throw .notDurable
            case .conflict(let reason): throw .conflict(reason)
            case .corrupt, .failed: throw .failed("the store answered with an error")
            }
        }
    }
}
