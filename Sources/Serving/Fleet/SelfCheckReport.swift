package import Caching
package import RecommendationCore

/// What a node's self-check has come to.
package struct SelfCheckReport: Sendable, Equatable {
    /// Changes of a kind by how long after them the nodes were asked.
    package struct Counts: Sendable, Equatable {
        package let kind: String
        package let seconds: Int64
        package let consistent: Int
        package let stale: Int
        package let unanswered: Int
        /// Of the newest changes that were answered; nil: there are none.
        package let share: Double?

        package init(kind: String, seconds: Int64, consistent: Int, stale: Int, unanswered: Int, share: Double?) {
            self.kind = kind
            self.seconds = seconds
            self.consistent = consistent
            self.stale = stale
            self.unanswered = unanswered
            self.share = share
        }
    }

    /// A node that would have served what a change had made void.
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

        /// What the node had missed.
        package enum Change: Sendable, Equatable {
            case user(String, User.Version)
            case tombstone(kind: String, id: String, epoch: Int64)
        }

        package let kind: String
        package let node: String
        package let tenant: String
        package let change: Change
        /// What stands for tenant and user, or tombstone, in logs.
        package let keyHash: String
        package let seconds: Int64
        package let foundAt: Timestamp
        package let held: [Entry]
        package let proof: String
        package let session: UInt64?
        package let leaseAgeMilliseconds: Int64?

        package init(
            kind: String,
            node: String,
            tenant: String,
            change: Change,
            keyHash: String,
            seconds: Int64,
            foundAt: Timestamp,
            held: [Entry],
            proof: String,
            session: UInt64?,
            leaseAgeMilliseconds: Int64?
        ) {
            self.kind = kind
            self.node = node
            self.tenant = tenant
            self.change = change
            self.keyHash = keyHash
            self.seconds = seconds
            self.foundAt = foundAt
            self.held = held
            self.proof = proof
            self.session = session
            self.leaseAgeMilliseconds = leaseAgeMilliseconds
        }
    }

    package let isOn: Bool
    /// Changes that are still to be asked about.
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
                    kind: counts.kind.rawValue,
                    seconds: counts.after.components.seconds,
                    consistent: counts.consistent,
                    stale: counts.stale,
                    unanswered: counts.unanswered,
                    share: counts.share
                )
            },
            suspects: check.suspects.compactMap { suspect in
                guard let (owner, change) = Self.change(suspect.subject),
                    tenant.map({ $0.string.utf8.elementsEqual(owner.utf8) }) ?? true
                else { return nil }
                return Suspect(
                    kind: suspect.subject.kind.rawValue,
                    node: suspect.node,
                    tenant: owner,
                    change: change,
                    keyHash: suspect.keyHash,
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

    /// Whose change it was, and what; nil: a key of another form.
    private static func change(_ subject: SelfCheckSubject) -> (owner: String, change: Suspect.Change)? {
        switch subject {
        case .write(let invalidation), .relayed(let invalidation):
            invalidation.key.parts.map { ($0.owner, .user($0.member, invalidation.version)) }
        case .denial(let denial):
            (denial.owner, .tombstone(kind: denial.kind, id: denial.name, epoch: denial.epoch))
        }
    }
}
