/// A version that serves a share of the users beside the active one.
public struct ModelCanary: Sendable, Hashable {
    /// The version.
    public var number: ModelVersion.Number
    /// Of the users, in hundredths of a percent: 1 to 9,999.
    public var share: Int

    /// A canary of these parts.
    public init(number: ModelVersion.Number, share: Int) {
        self.number = number
        self.share = share
    }

    /// In percent.
    public var percent: Double { Double(self.share) / 100 }

    /// Whether a user is of the share: always the same for a version, on every node, and independent of what other versions
    /// say of the user. A larger share keeps the users of a smaller one.
    public func takes(_ user: User.ID) -> Bool {
        UserShare.takes(user, salt: UInt64(bitPattern: self.number), share: self.share)
    }
}

/// Which versions of a tenant serve.
public struct ModelStanding: Sendable, Equatable {
    /// The version that serves; nil: none yet.
    public var active: ModelVersion.Number?
    /// The one beside it; nil: none.
    public var canary: ModelCanary?
    /// The active version that a rollback of the active one returns to; nil: there is none.
    public var previous: ModelVersion.Number?
    /// Whether the last change was a rollback: an operator has decided, and no schedule undoes that.
    public var isRolledBack: Bool
    /// The control log id of the last change; 0: there was none.
    public var epoch: Int64

    /// A standing of these parts.
    public init(
        active: ModelVersion.Number?,
        canary: ModelCanary? = nil,
        previous: ModelVersion.Number? = nil,
        isRolledBack: Bool = false,
        epoch: Int64
    ) {
        self.active = active
        self.canary = canary
        self.previous = previous
        self.isRolledBack = isRolledBack
        self.epoch = epoch
    }

    /// How many of the users a version serves, in percent.
    public func percent(of number: ModelVersion.Number) -> Double {
        if let canary, canary.number == number { return canary.percent }
        return number == self.active ? Double(10_000 - (self.canary?.share ?? 0)) / 100 : 0
    }

    /// Of a tenant without a model.
    public static let initial = ModelStanding(active: nil, epoch: 0)
}
