package import RecommendationCore

/// What is tried of a policy before it is in force.
package struct PolicyTrial: Sendable, Equatable {
    /// Users of the sample, at most.
    package var users: Int
    package var surface: String
    /// The length of a list, 1 to 100.
    package var limit: Int

    package static let userLimit = 1_000

    package init(users: Int = 100, surface: String, limit: Int = 10) {
        self.users = users
        self.surface = surface
        self.limit = limit
    }
}

/// How the lists of a sample of users would change if another policy were in force.
package struct PolicyComparison: Sendable, Equatable {
    /// One of the lists that change.
    package struct Example: Sendable, Equatable {
        package var user: User.ID
        package var before: [Item.ID]
        package var after: [Item.ID]

        package init(user: User.ID, before: [Item.ID], after: [Item.ID]) {
            self.user = user
            self.before = before
            self.after = after
        }
    }

    /// Sums over the lists of one side.
    package struct Side: Sendable, Equatable {
        /// Lists that are shorter than they were asked for.
        package var short = 0
        /// What the final stage left out, as ``FilteredCounts`` has it.
        package var policy = 0
        package var diversity = 0

        package init() {}
    }

    package static let exampleLimit = 5

    /// What would be in force, and what is.
    package var version: String
    package var against: String
    package var trial: PolicyTrial
    /// Users in the sample, and those whose list is another.
    package var users = 0
    package var changedUsers = 0
    /// Items that are in a list and were not, or were and are not; and of those that are in both, how many at another rank.
    package var itemsIn = 0
    package var itemsOut = 0
    package var itemsMoved = 0
    package var itemsKept = 0
    package var before = Side()
    package var after = Side()
    /// The first that change, of users who allow personalisation.
    package var examples: [Example] = []

    package init(version: String, against: String, trial: PolicyTrial) {
        self.version = version
        self.against = against
        self.trial = trial
    }

    /// Counts the two lists of one user; whether they differ.
    mutating func add(_ old: [Item.Number], _ new: [Item.Number]) -> Bool {
        self.users += 1
        let (known, added) = (Set(old), Set(new))
        self.itemsIn += new.count { !known.contains($0) }
        self.itemsOut += old.count { !added.contains($0) }
        for (rank, item) in new.enumerated() where known.contains(item) {
            if rank < old.count, old[rank] == item { self.itemsKept += 1 } else { self.itemsMoved += 1 }
        }
        guard old != new else { return false }
        self.changedUsers += 1
        return true
    }
}
