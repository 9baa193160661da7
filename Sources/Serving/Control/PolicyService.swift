package import Caching
package import RecommendationCore

/// Policies as an operator handles them: stored once, activated, rolled back.
package struct PolicyService: Sendable {
    private let repository: any PolicyRepository
    private let codec: PolicyCodec
    private let invalidator: Invalidator

    package init(repository: any PolicyRepository, codec: PolicyCodec, invalidator: Invalidator) {
        self.repository = repository
        self.codec = codec
        self.invalidator = invalidator
    }

    /// Stores a policy under its version; whether it is new.
    ///
    /// - Throws: `conflict` where another policy has that version: what is stored is never changed.
    package func put(_ policy: Policy, tenant: Tenant.ID) async throws(ServingError) -> Bool {
        if policy.version == Policy.builtIn.version {
            guard policy == .builtIn else { throw .conflict("\(policy.version) is built in and cannot be changed") }
            return false
        }
        let document = self.codec.encode(policy)
        let (stored, isNew) = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.store(policy.version, document: document, tenant: tenant)
        }
        if isNew { return true }
        guard try self.decoded(stored) == policy else {
            throw .conflict("\(policy.version) is stored with another content; take another version")
        }
        return false
    }

    /// The policy of a version; nil where there is none.
    package func policy(_ version: String, tenant: Tenant.ID) async throws(ServingError) -> Policy? {
        if version == Policy.builtIn.version { return .builtIn }
        let stored = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.policy(version, tenant: tenant)
        }
        guard let stored else { return nil }
        return try self.decoded(stored)
    }

    /// The versions, newest first, the built-in one last, and which is in force.
    package func versions(
        tenant: Tenant.ID
    ) async throws(ServingError) -> (versions: [PolicyVersion], standing: PolicyStanding) {
        let (versions, standing) = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.versions(tenant: tenant)
        }
        return (versions + [PolicyVersion(version: Policy.builtIn.version, createdAt: nil)], standing)
    }

    /// Puts a version in force on every node, for a share of the users or for all; nil where there is no such version.
    ///
    /// - Throws: `changed` where the standing is another than the one expected; `conflict` where the version is in force for
    ///   all users and would be for a part of them.
    package func activate(
        _ version: String,
        by activation: PolicyActivation,
        tenant: Tenant.ID
    ) async throws(ServingError) -> PolicyChange? {
        // What this node cannot read is not put in force by it.
        guard try await self.policy(version, tenant: tenant) != nil else { return nil }
        if activation.dryRun {
            var standing = try await self.standing(activation.expected, tenant: tenant)
            if activation.share == 10_000 {
                standing.active = version
                standing.canary = nil
            } else {
                guard standing.active != version else {
                    throw .conflict("\(version) is in force already, for all users")
                }
                standing.canary = PolicyCanary(version: version, share: activation.share)
            }
            return .would(standing)
        }
        return try await self.changed { () async throws(RepositoryError) in
            try await self.repository.activate(
                version,
                share: activation.share,
                expected: activation.expected,
                tenant: tenant
            )
        }
    }

    /// Takes a version out of force on every node, for the one before it, or where it is a canary for the one beside it.
    ///
    /// - Throws: `changed` where the standing is another than the one expected; `conflict` where another version is in force,
    ///   there was none before it, or a canary serves beside it.
    package func rollback(
        _ version: String,
        by activation: PolicyActivation,
        tenant: Tenant.ID
    ) async throws(ServingError) -> PolicyChange {
        if activation.dryRun {
            var standing = try await self.standing(activation.expected, tenant: tenant)
            let target = try await AdminService.mapped { () async throws(RepositoryError) in
                try standing.target(ofRollback: version)
            }
            if case .previous(let previous) = target { standing.active = previous }
            standing.canary = nil
            return .would(standing)
        }
        return try await self.changed { () async throws(RepositoryError) in
            try await self.repository.rollback(version, expected: activation.expected, tenant: tenant)
        }
    }

    private func standing(_ expected: [Int64]?, tenant: Tenant.ID) async throws(ServingError) -> PolicyStanding {
        let standing = try await self.versions(tenant: tenant).standing
        guard expected?.contains(standing.epoch) ?? true else { throw .changed }
        return standing
    }

    private func changed(
        _ change: () async throws(RepositoryError) -> PolicyStanding?
    ) async throws(ServingError) -> PolicyChange {
        guard let standing = try await AdminService.mapped(change) else { throw .changed }
        // Also where nothing changed: who changed it may have died before it could say so.
        return .done(standing, await self.invalidator.announce(epoch: standing.epoch))
    }

    private func decoded(_ stored: StoredPolicy) throws(ServingError) -> Policy {
        do {
            return try self.codec.decode(stored)
        } catch {
            throw .conflict("\(stored.version) cannot be read by this node: \(error.reason)")
        }
    }
}

/// What an activation or a rollback came to.
package enum PolicyChange: Sendable, Equatable {
    case done(PolicyStanding, Announcement)
    /// A dry run: what would be in force.
    case would(PolicyStanding)
}

/// How a version is put in force, or taken out of it.
package struct PolicyActivation: Sendable, Equatable {
    /// For which share of the users, in hundredths of a percent: 1 to 10,000.
    package var share: Int
    /// Only says what would be in force.
    package var dryRun: Bool
    /// Epochs of the standing that the caller knows; nil: any.
    package var expected: [Int64]?

    package init(share: Int = 10_000, dryRun: Bool = false, expected: [Int64]? = nil) {
        self.share = share
        self.dryRun = dryRun
        self.expected = expected
    }
}
