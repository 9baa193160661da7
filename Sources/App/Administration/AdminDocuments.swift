/// The documents of the admin API, as the shell reads and sends them.
package enum AdminDocuments {
    package struct StoredPolicy: Decodable, Sendable {
        package let version: String
        package let created: Bool
    }

    package struct Policies: Decodable, Sendable {
        package let active: String
        package let previous: String?
        package let canary: Canary?
        package let policies: [Version]

        package struct Canary: Decodable, Sendable {
            package let version: String
            package let percent: Double
        }

        package struct Version: Decodable, Sendable {
            package let version: String
            package let created_at: String?
        }
    }

    package struct PolicyChange: AdminChange {
        package let active: String
        package let previous: String?
        package let canary: Policies.Canary?
        package let dry_run: Bool?
        package let propagated: Bool?
        package let complete: Bool?
    }

    package struct Experiments: Decodable, Sendable {
        package let experiments: [Experiment]

        package struct Experiment: Decodable, Sendable {
            package let id: String
            package let state: String
            package let surface: String
            package let layer: String
            package let percent: Double
            package let variants: [Variant]
        }

        package struct Variant: Decodable, Sendable {
            package let name: String
            package let weight: Double
        }
    }

    package struct ExperimentChange: AdminChange {
        package let id: String
        package let surface: String
        package let variants: [Experiments.Variant]
        package let required_per_variant: Int
        package let propagated: Bool
        package let complete: Bool?
    }

    package struct ExperimentResults: Decodable, Sendable {
        package let variants: [Variant]
        package let required_per_variant: Int
        package let verdict: String

        package struct Variant: Decodable, Sendable {
            package let name: String
            package let exposures: Int
            package let conversions: Int
            package let rate: Double?
            package let lift: Double?
            package let p_value: Double?
            package let p_best: Double?
        }
    }

    package struct DryRun: Encodable, Sendable {
        package let dry_run: Bool

        package init(_ isOn: Bool) {
            self.dry_run = isOn
        }
    }

    package struct Activation: Encodable, Sendable {
        package let percent: Double
        package let dry_run: Bool

        package init(percent: Double, dryRun: Bool) {
            self.percent = percent
            self.dry_run = dryRun
        }
    }

    package struct PolicyTrial: Encodable, Sendable {
        package let users: Int
        package let surface: String
        package let limit: Int

        package init(users: Int, surface: String, limit: Int) {
            self.users = users
            self.surface = surface
            self.limit = limit
        }
    }

    package struct PolicyComparison: Decodable, Sendable {
        package let against: String
        package let users: Int
        package let changed_users: Int
        package let items: Items

        package struct Items: Decodable, Sendable {
            package let `in`: Int
            package let out: Int
            package let moved: Int
            package let kept: Int
        }
    }

    package struct Tombstones: Encodable, Sendable {
        package let kind: String
        package let ids: [String]
        package let reason: String?
        package let expires_at: String?

        package init(kind: String, ids: [String], reason: String?, expiresAt: String?) {
            self.kind = kind
            self.ids = ids
            self.reason = reason
            self.expires_at = expiresAt
        }
    }

    package struct TombstoneChange: AdminChange {
        package let epoch: Int64
        package let added: Int?
        package let already: Int?
        package let removed: Int?
        package let absent: Int?
        package let propagated: Bool
        package let complete: Bool?
    }

    package struct TombstoneList: Decodable, Sendable {
        package let tombstones: [Entry]
        /// nil: there are no more.
        package let next_cursor: String?

        package struct Entry: Decodable, Sendable {
            package let kind: String
            package let id: String
            package let reason: String?
            package let expires_at: String?
            package let created_at: String
        }
    }

    package struct Purge: Encodable, Sendable {
        package let scope: String
        package let id: String?
        package let dry_run: Bool

        package init(scope: String, id: String?, dryRun: Bool) {
            self.scope = scope
            self.id = id
            self.dry_run = dryRun
        }
    }

    package struct Purged: AdminChange {
        package let generation: Int64?
        package let user_version: Int64?
        package let dry_run: Bool?
        package let propagated: Bool?
        package let complete: Bool?
    }

    package struct Nodes: Decodable, Sendable {
        package let nodes: [Node]

        package struct Node: Decodable, Sendable {
            package let id: String
            package let started_at: String
            package let version: String
            package let lease_age_ms: Int64?
            package let control_applied: Int64
            package let model: String?
            package let policy: String
            package let l1: Usage
        }

        package struct Usage: Decodable, Sendable {
            package let entries: Int
            package let bytes: Int
        }
    }
}

/// The answer to a change of what nodes serve.
package protocol AdminChange: Decodable, Sendable {
    /// Whether every node serves by it; nil: that was not asked.
    var complete: Bool? { get }
}
