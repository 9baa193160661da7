package import Caching
package import RecommendationCore

/// What a node's self-check has come to.
package struct SelfCheckReport: Sendable, Equatable {
    /// Writes by how long after them the nodes were asked.
    package struct Counts: Sendable, Equatable {
        package let seconds: Int64
        package let consistent: Int
        package let stale: Int
        package let unanswered: Int
        /// Of the newest writes that were answered; nil: there are none.
        package let share: Double?

        package init(seconds: Int64, consistent: Int, stale: Int, unanswered: Int, share: Double?) {
            self.seconds = seconds
            self.consistent = consistent
            self.stale = stale
            self.unanswered = unanswered
            self.share = share
        }
    }

    /// A node that would have served what a write had made void.
    package struct Suspect: Sendable, Equatable {
        package struct Entry: Sendable, Equatable {
            package let field: String
            package let userVersion: User.Version
            package let ageMilliseconds: Int64

            package init(field: String, userVersion: User.Version, ageMilliseconds: Int64) {
                self.field = field
                self.userVersion = userVersion
                self.ageMilliseconds = ageMilliseconds
            }
        }

        package let node: String
        package let tenant: String
        package let user: String
        /// What stands for both in logs.
        package let keyHash: String
        package let userVersion: User.Version
        package let seconds: Int64
        package let foundAt: Timestamp
        package let held: [Entry]
        package let proof: String
        package let session: UInt64?
        package let leaseAgeMilliseconds: Int64?

        package init(
            node: String,
            tenant: String,
            user: String,
            keyHash: String,
            userVersion: User.Version,
            seconds: Int64,
            foundAt: Timestamp,
            held: [Entry],
            proof: String,
            session: UInt64?,
            leaseAgeMilliseconds: Int64?
        ) {
            self.node = node
            self.tenant = tenant
            self.user = user
            self.keyHash = keyHash
            self.userVersion = userVersion
            self.seconds = seconds
            self.foundAt = foundAt
            self.held = held
            self.proof = proof
            self.session = session
            self.leaseAgeMilliseconds = leaseAgeMilliseconds
        }
    }

    package let isOn: Bool
    /// Writes that are still to be asked about.
    package let pending: Int
    package let counts: [Counts]
    /// The newest first.
    package let suspects: [Suspect]

    package static let off = SelfCheckReport(isOn: false, pending: 0, counts: [], suspects: [])

    package init(isOn: Bool, pending: Int, counts: [Counts], suspects: [Suspect]) {
        self.isOn = isOn
        self.pending = pending
        self.counts = counts
        self.suspects = suspects
    }
}

extension SelfCheckReport {
    /// What a self-check says to the admin of one tenant; nil: of all.
    package init(_ check: SelfCheck, tenant: Tenant.ID?) {
        self.init(
            isOn: true,
            pending: check.pending,
            counts: check.counts.map { counts in
                Counts(
                    seconds: counts.after.components.seconds,
                    consistent: counts.consistent,
                    stale: counts.stale,
                    unanswered: counts.unanswered,
                    share: counts.share
                )
            },
            suspects: check.suspects.compactMap { suspect in
                guard let (_, owner, member) = suspect.invalidation.key.parts,
                    tenant.map({ $0.string.utf8.elementsEqual(owner.utf8) }) ?? true
                else { return nil }
                return Suspect(
                    node: suspect.node,
                    tenant: owner,
                    user: member,
                    keyHash: suspect.keyHash,
                    userVersion: suspect.invalidation.version,
                    seconds: suspect.after.components.seconds,
                    foundAt: Timestamp(microseconds: suspect.foundAt * 1_000),
                    held: suspect.answer.entries.map { entry in
                        Suspect.Entry(
                            field: entry.field,
                            userVersion: entry.version,
                            ageMilliseconds: entry.ageMilliseconds
                        )
                    },
                    proof: suspect.answer.proof,
                    session: suspect.answer.session,
                    leaseAgeMilliseconds: suspect.answer.leaseAgeMilliseconds
                )
            }
        )
    }
}
